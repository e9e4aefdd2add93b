// `npm run bench`: reads the command line, sees that what it measures is installed and built, measures, prints, draws.
import { readFileSync } from 'node:fs'
import { ArgumentError, HELP, type Plan, planOf } from './arguments.js'
import { installPeers } from './peers.js'
import type { BenchRecord } from './record.js'

try {
  const plan = planOf(process.argv.slice(2))
  if (plan) await bench(plan)
  else process.stdout.write(HELP)
} catch (error) {
  if (!(error instanceof ArgumentError)) throw error
  console.error(error.message)
  process.exitCode = 2
}

async function bench(plan: Plan): Promise<void> {
  await installPeers()
  // What is installed just now can be imported only now.
  const { terminalTables } = await import('./table.js')
  const record = plan.from === undefined ? await measure(plan) : readRecord(plan.from)
  console.log(terminalTables(record.rows))
  if (plan.docs) await (await import('./docs.js')).writeDocs(record)
  if (plan.json) console.log(JSON.stringify(record.rows))
  if (record.rows.some(({ failed }) => failed)) process.exitCode = 1
}

async function measure(plan: Plan): Promise<BenchRecord> {
  const [{ runSuite }, { recordOf }] = await Promise.all([import('./suite.js'), import('./record.js')])
  return recordOf(await runSuite(plan))
}

function readRecord(file: string): BenchRecord {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new ArgumentError(
      `bench: "--from" must be a record of earlier results such as docs/benchmarks.json, got ${JSON.stringify(file)}`,
      {
        cause: error,
      },
    )
  }
}
