// One process of a chaos run as if it had a machine of its own: its own links to Redis and to Postgres, so that it alone can be parted from
// either. The process comes and goes; the links stay.

import type { ChildProgram } from '../test/support/child-program.js'
import { Link } from './link.js'

export interface Links {
  redis: Link
  postgres: Link
}

/** What is deployed on a host beyond the ordinary: nothing most of the time. */
export interface Deployment {
  /** Another `after` for every rule: this many times as long. */
  afterTimes?: number
  /** The rule that this deployment does not have yet. */
  without?: string
  /** The package as it is in the other checkout. */
  other?: boolean
}

export class Host {
  process: ChildProgram | undefined
  deployment: Deployment = {}
  /** Whether the process has said that it is ready. */
  ready = false
  /** Whether any process here was ever ready. */
  wasReady = false

  private constructor(
    /** Also its connections' application_name. */
    readonly name: string,
    readonly links: Links,
    private readonly launch: (host: Host) => ChildProgram,
    private readonly onOwnEnd: (host: Host, end: number | string | null) => void,
  ) {}

  static async open(
    name: string,
    ports: { redis: readonly number[]; postgres: readonly number[] },
    launch: (host: Host) => ChildProgram,
    onOwnEnd: (host: Host, end: number | string | null) => void,
  ): Promise<Host> {
    const [redis, postgres] = await Promise.all([Link.open(ports.redis), Link.open(ports.postgres)])
    return new Host(name, { redis, postgres }, launch, onOwnEnd)
  }

  get bothLinks(): Link[] {
    return [this.links.redis, this.links.postgres]
  }

  start(deployment: Deployment = this.deployment): ChildProgram {
    this.deployment = deployment
    this.ready = false
    const process = this.launch(this)
    this.process = process
    process.child.on('message', (message: object) => {
      if (this.process === process && Object.hasOwn(message, 'ready')) this.ready = this.wasReady = true
    })
    process.child.once('exit', () => {
      if (this.process === process) this.onOwnEnd(this, process.end)
    })
    return process
  }

  /** Takes the process out, so that its end is expected. */
  take(): ChildProgram | undefined {
    const { process } = this
    this.process = undefined
    this.ready = false
    return process
  }

  async close(): Promise<void> {
    await this.take()?.kill()
    await Promise.all(this.bothLinks.map((link) => link.stop()))
  }
}
