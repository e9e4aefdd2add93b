// `npm run mutants`: plants each bug in a copy of the library, and asks the suites that concern it, the model and the chaos run whether they
// notice. Exit status 1 where one survives, 2 for wrong arguments. A test that has caught a bug must pass without it.

import { ArgumentError, type Arguments, parseArguments } from './arguments.js'
import { askAll, askUntilCaught, NoVerdict } from './judges.js'
import type { PlantedBug } from './planted-bug.js'
import { Results } from './results.js'
import { runSuites } from './suites.js'
import { Tree } from './tree.js'

const say = (text: string): void => void process.stderr.write(`${text}\n`)

main().then(
  (status) => {
    process.exitCode = status
  },
  (error: unknown) => {
    say(error instanceof ArgumentError ? error.message : String((error as Error).stack))
    process.exitCode = error instanceof ArgumentError ? 2 : 1
  },
)

async function main(): Promise<number> {
  const asked = parseArguments(process.argv.slice(2))
  const results = await Results.open(asked.file)
  const tree = await Tree.copy()
  try {
    const broken: string[] = []
    for (const [index, bug] of asked.bugs.entries()) {
      const said = await plant(tree, bug, results, asked)
      say(`${index + 1}/${asked.bugs.length} ${said}`)
      if (results.of(bug).length === 0) broken.push(bug.name)
    }
    await discardFalse(tree, asked.bugs, results)
    return report(asked.bugs, results, broken)
  } finally {
    await tree.remove()
  }
}

async function plant(tree: Tree, bug: PlantedBug, results: Results, { all, chaos }: Arguments): Promise<string> {
  const beganAt = performance.now()
  try {
    await tree.edited(bug.edits, () => (all ? askAll : askUntilCaught)(tree.directory, bug, results, chaos))
  } catch (error) {
    if (!(error instanceof NoVerdict)) throw error
    return error.message
  }
  const [first] = results.catches(bug)
  const seconds = ((performance.now() - beganAt) / 1000).toFixed(1)
  if (!first) return `${bug.name}: SURVIVED (${seconds} s)`
  return `${bug.name}: caught by ${first.judge} in ${seconds} s: ${first.title ?? ''}: ${first.message ?? ''}`
}

/** Runs the tests that have caught something once more, without any bug. */
async function discardFalse(tree: Tree, bugs: readonly PlantedBug[], results: Results): Promise<void> {
  const catches = bugs.flatMap((bug) => results.catches(bug)).filter(({ title }) => title !== undefined)
  if (catches.length === 0) return
  const titles = [...new Set(catches.map(({ title }) => title as string))]
  say(`${titles.length} tests have caught something; they run once more, without a bug`)
  const { failures, output } = await runSuites(tree.directory, [...new Set(catches.map(({ judge }) => judge))], { titles, all: true })
  if (output !== undefined) throw new Error(`the tests could not be run without a bug:\n${output}`)
  for (const { title, message } of failures) {
    say(`fails without a bug too: ${title}\n  ${message}`)
    results.discard(title)
  }
}

function report(bugs: readonly PlantedBug[], results: Results, broken: readonly string[]): number {
  process.stdout.write(results.table(bugs))
  const survivors = bugs.filter((bug) => results.catches(bug).length === 0 && !broken.includes(bug.name)).map(({ name }) => name)
  say(`${bugs.length - survivors.length - broken.length} of ${bugs.length} were caught`)
  if (survivors.length > 0) say(`survived: ${survivors.join(', ')}`)
  if (broken.length > 0) say(`nobody could say anything about: ${broken.join(', ')}`)
  return survivors.length + broken.length === 0 ? 0 : 1
}
