// Lints each Lua script as Redis gets it, its shared parts included, so that an unused part is found as well as an unknown global:
//   node scripts/lint-lua.mjs <path of luacheck>
// Each finding is shown where it stands in the sources.

import { rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { readScripts } from './lua.mjs'
import { makeTemporaryDirectory, project } from './paths.mjs'
import { attempt, exitWith } from './processes.mjs'

/** What a script's header must say. */
const HEADER = ['-- KEYS ', '-- ARGV ', '-- Output ']

main().catch(exitWith)

async function main() {
  const scripts = readScripts()
  const findings = [...scripts.flatMap(withoutHeader), ...(await luacheck(scripts))]
  for (const finding of findings) process.stdout.write(`${finding}\n`)
  if (findings.length > 0) process.exitCode = 1
}

function withoutHeader({ file, lines }) {
  const end = lines.findIndex(({ text }) => !text.startsWith('--'))
  const header = lines.slice(0, end).map(({ text }) => text)
  const missing = HEADER.filter((part) => !header.some((text) => text.startsWith(part)))
  return missing.map((part) => `${file}:1:1: its header has no line that begins with "${part}"`)
}

async function luacheck(scripts) {
  const [program] = process.argv.slice(2)
  const directory = makeTemporaryDirectory()
  try {
    const paths = scripts.map(({ file, lines }) => {
      const path = join(directory, basename(file))
      writeFileSync(path, lines.map(({ text }) => `${text}\n`).join(''))
      return path
    })
    const config = join(project, dirname(scripts[0].file), '.luacheckrc')
    const args = ['--config', config, '--formatter', 'plain', '--codes', '--no-color', '--no-cache', ...paths]
    const { status, output } = await attempt(program, args)
    const findings = output.split('\n').filter((line) => line !== '')
    if (status !== 0 && findings.length === 0) findings.push(`luacheck failed (${status})`)
    return inSources(findings, scripts, directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Each finding where it stands in the sources; one in a shared part once, with the scripts that include it so. */
function inSources(findings, scripts, directory) {
  const includedBy = new Map()
  for (const finding of findings) {
    const [, path, line, rest] = /^(.*?):(\d+):(.*)$/.exec(finding) ?? []
    const script = scripts.find(({ file }) => join(directory, basename(file)) === path)
    const source = script?.lines[Number(line) - 1]
    const shown = source ? `${source.file}:${source.number}:${rest}` : finding
    includedBy.set(shown, [...(includedBy.get(shown) ?? []), ...(source && source.file !== script.file ? [basename(script.file)] : [])])
  }
  return [...includedBy].map(([shown, names]) => (names.length > 0 ? `${shown} (in ${names.join(', ')})` : shown))
}
