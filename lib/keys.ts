// All key names are built and parsed here: the timers' own keys `kind:id`, and those of the due index. In a cluster the index is divided, by id, into
// partitions: the names of one partition share a slot, and the partitions are spread evenly over all slots.

import { Listeners } from './listeners.js'
import { hashTag, slotOf, tagOf } from './slots.js'

/** An expired key's name, parsed. */
export type ParsedKey = { kind: string; id: string } | 'external'

/** Kinds are words without a colon, since the first colon of a key ends the kind. */
export const KIND_SHAPE = /^[A-Za-z][A-Za-z0-9_.-]{0,63}$/

/** Everything except the timers' own keys is kept under this name, so no kind may have it. */
export const RESERVED_KIND = 'order-timers'

/**
 * A message on the wake channel that asks every worker to sweep at once. Any other message wakes alarms: the name of a due index wakes those of that
 * index, any other text wakes all.
 */
export const SWEEP_REQUEST = 'sweep'

/** The number of partitions of a cluster's index, unless its data say otherwise. */
const PARTITIONS = 8

/** The longest key that can be one of ours. Longer names are not parsed (a key name may be up to 512 MB long). */
const MAX_KEY_LENGTH = 512

export class Keys {
  readonly wakeChannel: string
  /** The channel on which processes publish what happens, while somebody watches. */
  readonly watchChannel: string
  readonly scannerLock: string
  /** Hash, process id to record: the processes. */
  readonly processes: string
  /** Hash: the version of this package that writes here, and the name of the data. */
  readonly layout: string
  /** The number of partitions of the index. In a cluster the connection reads it from the data. */
  partitions: number
  /** In a cluster the same, once it was read: a node may be away. */
  agreed: number | undefined
  private readonly partitionsListeners = new Listeners()

  constructor(
    /** The prefix of every name: ioredis's `keyPrefix`, if the shop's client has one, and then the option `prefix`. */
    readonly prefix: string,
    /** Whether the keys are in a cluster. There each timer's own key has its own slot, and scripts do not touch it. */
    readonly inCluster = false,
  ) {
    this.partitions = inCluster ? PARTITIONS : 1
    this.wakeChannel = `${prefix}${RESERVED_KIND}:wake`
    this.watchChannel = `${prefix}${RESERVED_KIND}:watch`
    this.scannerLock = `${prefix}${RESERVED_KIND}:scanner`
    this.processes = `${this.common}processes`
    this.layout = `${this.common}layout`
  }

  /** The data say how many partitions there are. */
  agree(partitions: number): void {
    const isOther = partitions !== this.partitions
    this.partitions = partitions
    this.agreed = partitions
    if (isOther) this.partitionsListeners.call()
  }

  /**
   * Called once the data say another number of partitions than was taken until then: each partition is another one, or there is none of its number. In
   * the same turn, so that nothing is asked of a partition that does not exist.
   * @returns a function that ends it
   */
  onPartitions(listener: () => void): () => void {
    return this.partitionsListeners.add(listener)
  }

  /** The key of one timer, such as `order_confirm:34`. */
  timer(kind: string, id: string): string {
    return `${this.timersOf(kind)}${id}`
  }

  /** The prefix of all keys of a kind, such as `order_confirm:`. */
  timersOf(kind: string): string {
    return `${this.prefix}${kind}:`
  }

  /** The partition that has an id. */
  partitionOf(id: string): number {
    return this.partitions === 1 ? 0 : slotOf(id) % this.partitions
  }

  /** Ids by the partition that has them. */
  split(ids: readonly string[]): Map<number, string[]> {
    const parts = new Map<number, string[]>()
    for (const id of ids) {
      const partition = this.partitionOf(id)
      const part = parts.get(partition)
      if (part) part.push(id)
      else parts.set(partition, [id])
    }
    return parts
  }

  /** All partitions: 0, 1, … */
  get everyPartition(): number[] {
    return Array.from({ length: this.partitions }, (_, partition) => partition)
  }

  /** The prefix of timers' keys for scripts: empty in a cluster, where scripts do not touch them. */
  setsTimersOf(kind: string): string {
    return this.inCluster ? '' : this.timersOf(kind)
  }

  /**
   * A set that never exists, in the slot of a timer's key: storing it over the key removes that without an event. Its name begins like the kind's keys, so
   * that a user with rights on those may use it.
   */
  nothingBeside(kind: string, id: string): string {
    const key = this.timer(kind, id)
    return hashTag(key) !== undefined ? `${key}:none` : `${this.timersOf(kind)}{${key}}:none`
  }

  /** A worker's expiry probe: a short-lived key whose expiry event must come back. In a cluster it is in a partition's slot. */
  expiryProbe(workerId: string, partition = 0): string {
    return `${this.beginning(partition)}canary:${workerId}`
  }

  /** The same for one node of a cluster, by a hash tag whose slot it serves. */
  expiryProbeOn(tag: string, workerId: string): string {
    return `${this.prefix}${RESERVED_KIND}:{${tag}}:canary:${workerId}`
  }

  /** The lock of the scan for external keys on one node of a cluster. */
  scannerLockOn(tag: string): string {
    return `${this.prefix}${RESERVED_KIND}:{${tag}}:scanner`
  }

  /** Hash, kind, path and bucket to count: how late orders were. Without a minute, the prefix of these names. */
  lateness(minute: number | '' = ''): string {
    return `${this.common}lateness:${minute}`
  }

  /** Hash, id to span: the sampled spans that scheduled orders with deadlines on this day. */
  spans(kind: string, day: number): string {
    return `${this.prefix}${RESERVED_KIND}:{${kind}}:spans:${day}`
  }

  /** Keys to test with whether Redis accepts writes, one of each type; `none` never exists. */
  writeProbe(partition = 0): WriteProbeKeys {
    return this.writeProbeOn(this.inCluster ? tagOf(partition, this.partitions) : undefined)
  }

  /** The same on one node of a cluster, by a hash tag whose slot it serves; undefined for one server. */
  writeProbeOn(tag: string | undefined): WriteProbeKeys {
    const base = `${this.prefix}${RESERVED_KIND}:${tag === undefined ? '{probe}' : `{${tag}}:probe`}:`
    return { string: `${base}string`, set: `${base}set`, zset: `${base}zset`, hash: `${base}hash`, none: `${base}none` }
  }

  /** The sets of one kind, or of one partition of it. In braces is a hash tag, so that in a cluster they share a slot. */
  sets(kind: string, partition = 0): KindSets {
    return setsUnder(this.inCluster ? `${this.beginning(partition)}${kind}:` : `${this.prefix}${RESERVED_KIND}:{${kind}}:`)
  }

  /** In a cluster the same under a partition's hash tag, also under one that no partition has now. */
  setsAt(tag: string, kind: string): KindSets {
    return setsUnder(`${this.prefix}${RESERVED_KIND}:{${tag}}:${kind}:`)
  }

  /** For SCAN: a pattern that the names of all sets match. */
  get setsPattern(): string {
    return `${this.prefix.replace(/[[\]*?\\]/g, '\\$&')}${RESERVED_KIND}:{*`
  }

  /** The kind of a set with this name, which matches that pattern; undefined of what concerns no kind. */
  kindOfSet(name: string): string | undefined {
    const rest = name.slice(this.prefix.length + RESERVED_KIND.length + 1)
    return (SPANS.exec(rest) ?? (this.inCluster ? SET_IN_CLUSTER : SET).exec(rest))?.[1]
  }

  /** The prefix of names that concern no kind. In a cluster one heartbeat writes several of them, so they are in one slot. */
  private get common(): string {
    return this.beginning(0)
  }

  private beginning(partition: number): string {
    return `${this.prefix}${RESERVED_KIND}:${this.inCluster ? `{${tagOf(partition, this.partitions)}}:` : ''}`
  }

  /** Splits a key's name at the first colon after the prefix. The id is not checked: only the rule knows valid ids. */
  parse(name: string): ParsedKey {
    if (name.length > MAX_KEY_LENGTH + this.prefix.length || !name.startsWith(this.prefix)) return 'external'
    const colon = name.indexOf(':', this.prefix.length)
    if (colon < 0) return 'external'
    return { kind: name.slice(this.prefix.length, colon), id: name.slice(colon + 1) }
  }
}

const SUFFIX = '(?:due|leases?|forgotten|keyless|failures|read|undated|pace)(?::|$)'
const SET = new RegExp(`^\\{([^}]+)\\}:${SUFFIX}`)
const SET_IN_CLUSTER = new RegExp(`^\\{[^}]+\\}:([^:]+):${SUFFIX}`)
const SPANS = /^\{([^}]+)\}:spans:\d+$/

function setsUnder(base: string): KindSets {
  return {
    due: `${base}due`,
    leases: `${base}leases`,
    lease: `${base}lease:`,
    tombstones: `${base}forgotten`,
    keysRemoved: `${base}keyless`,
    failures: `${base}failures`,
    read: `${base}read`,
    undated: `${base}undated`,
    pace: `${base}pace`,
  }
}

/** A key of each type, and one that never exists. */
export type WriteProbeKeys = Record<'string' | 'set' | 'zset' | 'hash' | 'none', string>

export interface KindSets {
  /** Sorted set, id by deadline in milliseconds: what is armed. */
  due: string
  /** Sorted set, token by the millisecond its lease ends (Redis's clock). */
  leases: string
  /** The prefix of the name of a claim's set of ids, followed by the token; with `:deadlines` at the end, a string with their deadlines. */
  lease: string
  /**
   * The prefix of the names of the tombstones: sets of ids that were removed a moment ago, by which a late expiry event is recognized as
   * ours.
   */
  tombstones: string
  /** How many of the latest due timers that are not claimed have had their keys removed; expires after a second. */
  keysRemoved: string
  /** Hash, id to JSON: attempts that failed, and dead letters. */
  failures: string
  /** When a worker last read what is overdue, by Redis's clock. This and the following are only in partition 0. */
  read: string
  /** How many orders without a deadline a worker last counted, and when. */
  undated: string
  /** When everything that workers have reserved of `verify.perSecond` is used up, by Redis's clock. */
  pace: string
}
