// `npm run mutants`: plants each bug in a copy of the library, and asks the suites that concern it, the model and the chaos run whether they
// notice. Exit status 1 where one survives, 2 for wrong arguments. A test that has caught a bug must pass without it.

import { constants } from 'node:os'
import { ArgumentError, type Arguments, parseArguments } from './arguments.js'
import { CHAOS, Judges, NoVerdict } from './judges.js'
import type { PlantedBug } from './planted-bug.js'
import { Results } from './results.js'
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
  const stopping = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stopping.abort(128 + constants.signals[name]))
  const { signal } = stopping
  const tree = await Tree.copy()
  const judges = new Judges({ directory: tree.directory, results, chaos: asked.chaos, stopping: signal })
  try {
    for (const [index, bug] of asked.bugs.entries()) {
      if (!signal.aborted) say(`${index + 1}/${asked.bugs.length} ${await plant(tree, judges, bug, results, asked)}`)
    }
    for (const { bug, title } of await judges.discardFalse(asked.bugs))
      say(`${bug} was not caught: without it this fails too: ${title ?? 'chaos'}`)
    return signal.aborted ? signal.reason : report(asked.bugs, results)
  } finally {
    await tree.remove()
  }
}

async function plant(tree: Tree, judges: Judges, bug: PlantedBug, results: Results, { all, chaos }: Arguments): Promise<string> {
  const beganAt = performance.now()
  try {
    const isKnown = !all && chaos !== 'alone' && results.catches(bug).length > 0
    if (!isKnown) await tree.edited(bug.edits, () => (all ? judges.askAll(bug) : judges.askUntilCaught(bug)))
  } catch (error) {
    if (!(error instanceof NoVerdict)) throw error
    return error.message
  }
  const catches = results.catches(bug)
  const first = chaos === 'alone' ? catches.find(({ judge }) => judge === CHAOS) : catches[0]
  const seconds = ((performance.now() - beganAt) / 1000).toFixed(1)
  if (!first) return `${bug.name}: ${chaos === 'alone' ? 'no anomaly in the chaos run' : 'SURVIVED'} (${seconds} s)`
  return `${bug.name}: caught by ${first.judge} in ${seconds} s: ${[first.title, first.message].filter(Boolean).join(': ')}`
}

function report(bugs: readonly PlantedBug[], results: Results): number {
  process.stdout.write(results.table(bugs))
  const survivors = bugs.filter((bug) => results.catches(bug).length === 0)
  say(`${bugs.length - survivors.length} of ${bugs.length} were caught`)
  if (survivors.length > 0) say(`survived: ${survivors.map(({ name }) => name).join(', ')}`)
  return survivors.length === 0 ? 0 : 1
}
