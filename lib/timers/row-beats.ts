// When this process's rows in Postgres are written: once a minute, independently of its heartbeats in Redis, which never wait long for Postgres.

import { Moment } from '../moment.js'
import type { ProcessRecord, SeenProcess } from '../redis/process-records.js'
import { within } from '../wait.js'
import type { ProcessRows } from './process-rows.js'

/** How long a heartbeat in Redis waits for the row in Postgres, which may take a minute if the pool is exhausted or Postgres is silent. */
const WAIT_MS = 1_000

export class RowBeats {
  /** All processes as Postgres last had them; undefined if they could not be read. */
  seen: SeenProcess[] | undefined
  private last = new Moment()
  private afterMs = 0
  private writing: Promise<void> | undefined

  constructor(private readonly rows: ProcessRows) {}

  /** The first heartbeat after this many milliseconds writes the row. */
  dueIn(milliseconds: number): void {
    this.last = new Moment()
    this.afterMs = milliseconds
  }

  /** Writes the row if that is due; the next time is after `everyMs`. Resolves when it is written, or after a moment. Never rejects. */
  async beat(record: () => ProcessRecord, everyMs: number): Promise<void> {
    if (this.last.passedMs() < this.afterMs || this.writing) return
    this.dueIn(everyMs)
    this.writing = this.write(record())
    await within(WAIT_MS, this.writing)
  }

  private async write(record: ProcessRecord): Promise<void> {
    try {
      this.seen = await this.rows.write(record)
    } finally {
      this.writing = undefined
    }
  }
}
