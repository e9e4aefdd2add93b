// The file by which a worker shows that it works, for probes that have neither curl nor Redis. It is written every few seconds while its loops run, and
// removed when it ends.

import { rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'

const WRITE_MS = 5_000

/** An older file belongs to a worker that hangs or was killed. */
const ALIVE_MS = 30_000

/** Not by `userInfo`, which throws if a container's user has no name. */
export function defaultAliveFile(): string {
  return join(tmpdir(), `order-timers-worker-${process.getuid?.() ?? userInfo().uid}`)
}

/** @param isLive whether the worker's loops run @param onError called once @returns a function that ends it */
export function keepAlive(file: string, isLive: () => boolean, onError: (error: unknown) => void): () => void {
  let failed = false
  const write = () => {
    if (!isLive()) return
    try {
      writeFileSync(file, `${process.pid}\n`)
    } catch (error) {
      if (!failed) onError(error)
      failed = true
    }
  }
  write()
  const timer = setInterval(write, WRITE_MS)
  return () => {
    clearInterval(timer)
    rmSync(file, { force: true })
  }
}

/** How long ago a worker wrote the file, in milliseconds; undefined if there is none. */
export function aliveAgoMs(file: string): number | undefined {
  const written = statSync(file, { throwIfNoEntry: false })
  return written && Math.max(0, Date.now() - written.mtimeMs)
}

export function isAlive(agoMs: number | undefined): boolean {
  return agoMs !== undefined && agoMs < ALIVE_MS
}
