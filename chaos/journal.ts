// A process's own record of what it did, line by line in a file of its own: wishes and their answers, deliveries, what its worker told. A line
// is with the kernel before what it announces begins, so that a killed process loses nothing but answers, and those count as unknown.

import { openSync, readdirSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Delivery, Told, Wish } from './history.js'

/** A wish as it is made, and its answer when it comes. They belong together by `n` and `id`. */
export type Begun = Omit<Wish, 'process' | 'completedAt' | 'answer' | 'got'>
export type Answered = Pick<Wish, 'n' | 'id' | 'completedAt' | 'answer' | 'got'> & { createdId?: string }

type Line = { by: string } | { begun: Begun[] } | { answered: Answered[] } | { deliveries: Delivery[] } | { told: Told }

const ENDING = '.jsonl'

export class Journal {
  private readonly file: number

  /** @param name of the process; a second process of that name gets a file of its own */
  constructor(
    readonly directory: string,
    readonly name: string,
  ) {
    this.file = openSync(join(directory, `${name} ${process.pid}${ENDING}`), 'a')
    this.write({ by: name })
  }

  write(line: Line): void {
    writeSync(this.file, `${JSON.stringify(line)}\n`)
  }
}

export interface Journals {
  wishes: Wish[]
  deliveries: Delivery[]
  told: Told[]
}

/** Everything that the processes of a run wrote down, by the time at which it began. */
export function readJournals(directory: string): Journals {
  const journals: Journals = { wishes: [], deliveries: [], told: [] }
  for (const file of readdirSync(directory).filter((name) => name.endsWith(ENDING))) readJournal(join(directory, file), journals)
  journals.wishes.sort((a, b) => a.invokedAt - b.invokedAt)
  journals.deliveries.sort((a, b) => a.at - b.at)
  journals.told.sort((a, b) => a.at - b.at)
  return journals
}

function readJournal(file: string, { wishes, deliveries, told }: Journals): void {
  let process = ''
  const open = new Map<string, Wish>()
  for (const line of linesOf(readFileSync(file, 'utf8'))) {
    if ('by' in line) process = line.by
    else if ('deliveries' in line) deliveries.push(...line.deliveries)
    else if ('told' in line) told.push(line.told)
    else if ('begun' in line) {
      for (const begun of line.begun) {
        const wish: Wish = { ...begun, process, completedAt: Number.POSITIVE_INFINITY, answer: 'unknown' }
        open.set(`${wish.n} ${wish.id}`, wish)
        wishes.push(wish)
      }
    } else {
      for (const { createdId, ...answered } of line.answered)
        Object.assign(open.get(`${answered.n} ${answered.id}`) ?? {}, answered, createdId !== undefined && { id: createdId })
    }
  }
}

/** The last line of a killed process may be cut. */
function linesOf(text: string): Line[] {
  return text.split('\n').flatMap((line) => {
    if (line === '') return []
    try {
      return [JSON.parse(line) as Line]
    } catch {
      return []
    }
  })
}
