// Holds what is agreed on sizes: no file of code in lib/ has more than 250 lines, and the package as it is published no more than 700 kB:
//   node scripts/sizes.mjs <tarball>
// Generated files, style sheets and the pages' lists of words are as long as what they say.

import { readFileSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { filesIn } from './build.mjs'
import { project } from './paths.mjs'

const MOST_LINES = 250
const MOST_BYTES = 700_000

const lib = join(project, 'lib')
const code = filesIn(lib).filter((path) => /\.(c?ts|js|lua)$/.test(path) && !/\.generated\.|^words-/.test(basename(path)))
const tooLong = code.map((path) => [path, linesOf(path)]).filter(([, lines]) => lines > MOST_LINES)
const bytes = statSync(process.argv[2]).size

for (const [path, lines] of tooLong) process.stdout.write(`lib/${path}: ${lines} lines, and ${MOST_LINES} are the limit\n`)
if (bytes > MOST_BYTES) process.stdout.write(`the package has ${bytes} bytes packed, and ${MOST_BYTES} are the limit\n`)
if (tooLong.length > 0 || bytes > MOST_BYTES) process.exitCode = 1

function linesOf(path) {
  return readFileSync(join(lib, path), 'utf8').trimEnd().split('\n').length
}
