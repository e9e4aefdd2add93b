// Writes docs/benchmarks.md, its pictures, docs/capacity.md and the record that they are made from, whole each time.
import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { capacityPage } from './capacity.js'
import { draw } from './pictures.js'
import type { BenchRecord } from './record.js'
import { markdownTables } from './table.js'

const DOCS = fileURLToPath(new URL('../docs/', import.meta.url))

const HOW = `## How it is measured

Each system is driven through its documented API, at the settings that its documentation recommends for speed, in processes of its
own, on loopback. Every run has an empty Redis (no persistence, \`notify-keyspace-events Ex\`) and an empty database in one Postgres with
default settings. Systems take turns, round by round; a row shows the medians of its rounds, the worst of its maxima, and the fewest
delivered.

The orders table is the same for all (\`id, userId, total, status, note, confirmDueAt\`, timestamps, an index on \`status\` and
\`confirmDueAt\`), and so is what a job does: \`Order.update({ status: 5 }, { where: { id, status: 4 } })\`. The instant at which an order was
settled is the commit of the transaction that did it, as Postgres recorded it (\`pg_xact_commit_timestamp\`, with
\`track_commit_timestamp\` on): no system writes it or knows of it. Memory is what Redis's \`used_memory\`
grew by from the first hundred timers on, which bring what is there once (Redis keeps 26 KB of latencies for each command that it was
ever sent), until a second after the last was scheduled and its client had gone. In \`sweep\` the worker is up, as in
\`drain\`; the orders turn up overdue in one transaction, and the rate is from the beginning of the sweep that finds them; *drain* is the
drain of as many orders in as large a table, in the same rounds. In \`calls\` two processes take turns, one of each
system, 250 calls at a time, after 5,000 calls of each; *time against the other* is the time of a row's calls by that of the other system's in the same turns.
In \`cluster\` each primary has 100 calls in flight; *paced*, for the same orders
once more, it gets 100 at once every 25 ms instead, so that client and primaries do not compete for the machine's two cores. Redis counts the commands within a script too. In \`external\`, keys that PHP
sets by phpredis live a tenth and five seconds longer than the scan took that was completed before; with *Exg* they live for two seconds.

| system | how it is set |
| --- | --- |
| express-order-timers | as it comes. In \`schedule\`, *redis* is a rule with \`since\`, which writes no row, and *row* one with the deadline on the order's row; *express* is the same by requests to an Express app. *run* is a rule with the shop's own work on instances in the transaction, *history* one that writes a row of history for each order. Timers that only wait are put into the index in bulk, by the call with which the sweep arms |
| bullmq | concurrency 50, finished jobs removed |
| bee-queue | concurrency 50, finished jobs removed, no events, no stored jobs, \`delayedDebounce\` 1 ms instead of 1,000 |
| graphile-worker | 24 jobs at a time, local queue of 500, completions in batches, as its page on performance has it; polled every 100 ms instead of every 2,000 |
| pg-boss | polled every 500 ms, which is as often as it allows, batches of 5,000 whose jobs run concurrently, no priorities |
| setex-listener | \`SETEX\` and a listener on \`__keyevent@0__:expired\`; nothing else |
| limit | batches of 1,000 by \`Model.update\` with \`returning\`, one after the other; in \`lateness\` each order alone, by a timer of its process. Nothing schedules and nothing listens |
`

export async function writeDocs(record: BenchRecord): Promise<void> {
  mkdirSync(DOCS, { recursive: true })
  const pictures = await draw(record.rows)
  for (const { file, svg } of pictures) writeFileSync(`${DOCS}benchmark-${file}`, svg)
  writeFileSync(`${DOCS}benchmarks.json`, `${JSON.stringify(record, null, 2)}\n`)
  writeFileSync(`${DOCS}capacity.md`, capacityPage(record))
  const shown = pictures.map(({ file, about }) => `![${about}](benchmark-${file})`).join('\n\n')
  const versions = Object.entries(record.versions).map(([name, version]) => `${name} ${version}`)
  writeFileSync(
    `${DOCS}benchmarks.md`,
    [
      '# Benchmarks',
      `Measured on ${record.measuredAt.slice(0, 10)} on ${record.machine}; ${versions.join(', ')}.${record.remark ? ` ${record.remark}` : ''}`,
      'Written by `npm run bench -- --docs`; `npm run bench -- --docs --from docs/benchmarks.json` draws it again without measuring.',
      shown,
      '## Tables',
      markdownTables(record.rows),
      HOW,
    ].join('\n\n'),
  )
}
