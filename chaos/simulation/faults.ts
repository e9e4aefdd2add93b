// What goes wrong in a simulation: processes that die or stand still, ways that are cut, slow or one-way, servers that restart, freeze or lose data,
// clocks that are wrong, rows that are locked.

import type { Wrong } from './history.js'
import type { Shop } from './shop.js'
import type { Step } from './story.js'
import { POSTGRES, REDIS, SHOP, type World } from './world.js'

const MOST_WORKERS = 3

type Fault<T extends Step['do']> = Extract<Step, { do: T }>
/** What each kind of fault does. */
type Acts = { [T in Step['do']]?: (fault: Fault<T>) => void }

export class Faults {
  readonly all: Wrong[] = []
  /** When Redis lost data. */
  readonly losses: number[] = []
  private restoreRedis: () => void
  private readonly stopping: Promise<void>[] = []
  private readonly acts: Acts = {
    'start worker': () => this.startWorker(),
    'kill worker': ({ worker }) => this.onWorker(worker, 'kill worker', 0, (name) => this.world.kill(name)),
    'stop worker': ({ worker }) =>
      this.onWorker(worker, 'stop worker', 0, (name) => {
        this.stopping.push(this.world.stopWorker(name))
      }),
    'stand still': ({ worker, for: ms }) => this.onWorker(worker, 'stand still', ms, (name) => this.world.time.standStill(name, ms)),
    cut: ({ process, server }) => {
      this.note('cut', 0)
      this.world.network.cut({ owner: this.process(process), server })
    },
    part: (fault) => this.part(fault),
    slow: ({ process, server, by, for: ms }) => {
      const way = this.world.network.way(this.process(process), server)
      way.slowMs = by
      this.during('slow', ms, () => {
        way.slowMs = 0
      })
    },
    freeze: ({ server, for: ms }) => {
      this.note('freeze', ms)
      this.world.time.standStill(server, ms)
    },
    'save Redis': () => {
      this.restoreRedis = this.world.redis.data.snapshot()
    },
    'flush Redis': () => {
      this.note('flush Redis', 0)
      this.losses.push(this.world.time.epochMs)
      this.world.redis.flush()
    },
    'restart Redis': (fault) => this.restart(fault),
    'restart Postgres': ({ for: ms }) => {
      const { postgres, network } = this.world
      if (postgres.down) return
      postgres.stop()
      network.cut({ server: POSTGRES })
      this.during('restart Postgres', ms, () => {
        postgres.down = false
      })
    },
    'set clock': ({ of, worker, ms }) => this.setClock(of, worker, ms),
    'lock row': ({ order, for: ms }) => this.lockRow(order, ms),
  }

  constructor(
    private readonly world: World,
    private readonly shop: Shop,
  ) {
    this.restoreRedis = world.redis.data.snapshot()
  }

  carryOut(step: Step): void {
    const act = this.acts[step.do] as ((step: Step) => void) | undefined
    act?.(step)
  }

  startWorker(): void {
    if (this.world.workers.length >= MOST_WORKERS) return
    this.note('start worker', 0)
    this.world.startWorker()
  }

  /** Waits until faults that end by themselves have ended, ends the others, and sees that there is a worker. */
  async heal(): Promise<void> {
    const { network, time, redis, workers } = this.world
    await this.world.wait(Math.max(0, ...this.all.map(({ to }) => to - time.epochMs)) + 1)
    network.heal()
    redis.clockOffMs = 0
    for (const { name } of workers) time.setClock(name, 0)
    this.note('heal', 0)
    if (workers.length === 0) this.startWorker()
  }

  /** When every worker that was to stop has stopped. */
  async quiet(): Promise<void> {
    await Promise.all(this.stopping)
  }

  private part({ process, server, loses, for: ms }: Fault<'part'>): void {
    const name = this.process(process)
    const way = this.world.network.way(name, server)
    if (loses !== 'replies') way.holdsRequests = true
    if (loses !== 'requests') way.holdsReplies = true
    this.during('part', ms, () => this.world.network.heal(name, server))
  }

  private restart({ for: ms, keeps }: Fault<'restart Redis'>): void {
    const { redis, network, time } = this.world
    if (redis.down) return
    redis.stop()
    network.cut({ server: REDIS })
    this.during('restart Redis', ms, () => {
      if (keeps !== 'all') this.losses.push(time.epochMs)
      if (keeps === 'nothing') redis.flush()
      if (keeps === 'snapshot') this.restoreRedis()
      redis.down = false
    })
  }

  private setClock(of: 'redis' | 'worker', worker: number, ms: number): void {
    if (of === 'worker') this.onWorker(worker, 'set clock', 0, (name) => this.world.time.setClock(name, ms))
    else {
      this.note('set clock', Math.abs(ms))
      this.world.redis.clockOffMs = ms
    }
  }

  /** As another program's long transaction would. */
  private lockRow(which: number, ms: number): void {
    const { postgres } = this.world
    const id = this.shop.order(which)
    const orders = postgres.tables.get('orders')
    const row = [...(orders?.rows.values() ?? [])].find(({ committed }) => committed?.[0] === id)
    if (!orders || !row || row.lockedBy || postgres.down) return
    const transaction = postgres.begin('another program', true)
    orders.lock(transaction, row, true)
    this.during('lock row', ms, () => transaction.end(false))
  }

  private onWorker(which: number, what: string, ms: number, act: (name: string) => void): void {
    const { workers } = this.world
    const worker = workers[which % Math.max(1, workers.length)]
    if (!worker) return
    this.note(what, ms)
    act(worker.name)
  }

  private process(which: number): string {
    const names = [SHOP, ...this.world.workers.map(({ name }) => name)]
    return names[which % names.length] as string
  }

  private during(what: string, ms: number, end: () => void): void {
    this.note(what, ms)
    this.world.time.schedule('the story', ms, end)
  }

  private note(what: string, ms: number): void {
    const { epochMs } = this.world.time
    this.all.push({ what, from: epochMs, to: epochMs + ms })
  }
}
