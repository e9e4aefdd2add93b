// Timers that are armed within one turn of the event loop, by many requests, go to Redis in one call for each kind. The turn ends with `setImmediate`: after
// the answers on all connections of the pool have been read, where `nextTick` comes after each.

export interface ArmedTimer {
  id: string
  deadlineMs: number
}

type Send = (kind: string, timers: readonly ArmedTimer[]) => Promise<void>

/**
 * The largest batch. With one batch of everything, the process and Redis would take turns instead of working at the same time (with 100
 * calls in flight, batches of 50 were a third faster than one of 100).
 */
const MOST = 50

interface Batch {
  timers: ArmedTimer[]
  sent: Promise<void>
  send: () => void
}

export class ArmBatches {
  private readonly open = new Map<string, Batch>()

  constructor(private readonly send: Send) {}

  /** Resolves or rejects with the timer's batch. */
  add(kind: string, timer: ArmedTimer): Promise<void> {
    const batch = this.open.get(kind) ?? this.begin(kind)
    batch.timers.push(timer)
    if (batch.timers.length >= MOST) batch.send()
    return batch.sent
  }

  private begin(kind: string): Batch {
    const timers: ArmedTimer[] = []
    let send = () => {}
    const sent = new Promise<void>((resolve) => {
      send = () => {
        if (this.open.get(kind)?.timers !== timers) return
        this.open.delete(kind)
        resolve(this.send(kind, timers))
      }
    })
    const batch = { timers, sent, send }
    this.open.set(kind, batch)
    setImmediate(send)
    return batch
  }
}
