// Arming from many requests at once: what is asked for within one turn of the event loop goes to Redis in one call for each kind.

export interface ArmedTimer {
  id: string
  deadlineMs: number
}

type Send = (kind: string, timers: readonly ArmedTimer[]) => Promise<void>

/** Redis does nothing else while a script runs, so a batch is bounded. */
const MOST = 1_000

interface Batch {
  timers: ArmedTimer[]
  sent: Promise<void>
  send: () => void
}

export class ArmBatches {
  private readonly open = new Map<string, Batch>()

  constructor(private readonly send: Send) {}

  /** Resolves or rejects with the batch that the timer went in. */
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
    process.nextTick(send) // behind all that the turn still has to do
    return batch
  }
}
