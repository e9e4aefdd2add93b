// `npm run mutants`: plants each bug in a copy of the library, and runs the test that must fall for it. Exit status 1 where one survives,
// or where a test does not pass without it. `--only <name>`, as often as wanted, plants those alone.

import { parseArgs } from 'node:util'
import { PLANTED_BUGS, type PlantedBug } from './planted-bugs.js'
import { runTests } from './run-tests.js'
import { Tree } from './tree.js'

interface Outcome extends PlantedBug {
  fell: boolean
  seconds: string
}

const say = (text: string): void => void process.stderr.write(`${text}\n`)

process.exitCode = await main()

async function main(): Promise<number> {
  const bugs = choose()
  if (bugs === undefined) return 2
  const tree = await Tree.copy()
  try {
    if (!(await passWithoutBugs(tree, bugs))) return 1
    const outcomes: Outcome[] = []
    for (const bug of bugs) outcomes.push(await plant(tree, bug))
    process.stdout.write(table(outcomes))
    const survivors = outcomes.filter(({ fell }) => !fell)
    say(survivors.length === 0 ? `all ${bugs.length} were caught` : `${survivors.length} of ${bugs.length} survived`)
    return survivors.length === 0 ? 0 : 1
  } finally {
    await tree.remove()
  }
}

function choose(): PlantedBug[] | undefined {
  const { only } = parseArgs({ options: { only: { type: 'string', multiple: true } } }).values
  const unknown = only?.find((name) => !PLANTED_BUGS.some((bug) => bug.name === name))
  if (unknown === undefined) return PLANTED_BUGS.filter(({ name }) => only?.includes(name) ?? true)
  say(`there is no planted bug "${unknown}"; there are: ${PLANTED_BUGS.map(({ name }) => name).join(', ')}`)
  return undefined
}

async function passWithoutBugs(tree: Tree, bugs: readonly PlantedBug[]): Promise<boolean> {
  const tests = bugs.map(({ test }) => test)
  const { passed, failed, output } = await runTests(tree.directory, tests)
  const missing = tests.filter(({ title }) => !passed.has(title))
  for (const [title, message] of failed) say(`fails without a planted bug: ${title}\n  ${message}`)
  for (const { file, title } of missing.filter(({ title }) => !failed.has(title))) say(`${file} has no such test: ${title}`)
  if (missing.length > 0) say(output)
  return missing.length === 0
}

async function plant(tree: Tree, bug: PlantedBug): Promise<Outcome> {
  const beganAt = performance.now()
  const { passed, failed, output } = await tree.edited(bug.edits, () => runTests(tree.directory, [bug.test]))
  const seconds = ((performance.now() - beganAt) / 1000).toFixed(1)
  const message = failed.get(bug.test.title)
  if (message === undefined) say(`${bug.name}: ${passed.has(bug.test.title) ? 'SURVIVED' : `NO VERDICT\n${output}`}`)
  else say(`${bug.name}: fell in ${seconds} s: ${inOneLine(message)}`)
  return { ...bug, fell: message !== undefined, seconds }
}

function inOneLine(message: string): string {
  const lines = message.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('+ actual'))
  return lines.slice(0, 6).join(' ').slice(0, 200)
}

function table(outcomes: readonly Outcome[]): string {
  const rows = outcomes.map(({ what, edits, test, fell, seconds }) => {
    const files = [...new Set(edits.map(({ file }) => file))].join(', ')
    return `| ${what} | ${files} | ${fell ? `${test.file}: ${test.title}` : 'NONE'} | ${seconds} |`
  })
  return ['| planted bug | file | test that fell | seconds |', '| --- | --- | --- | --: |', ...rows, ''].join('\n')
}
