// How the Lua scripts are called: ioredis defines each as a method of the client (see own-options.ts), and each call says what its success
// proves about a Redis that refuses writes (see refusals.ts).

import type { Redis } from 'ioredis'
import type { Keys, WriteProbeKeys } from '../keys.js'
import type { RedisConnection } from './connection.js'
import type { Sender } from './node-batches.js'
import { serversOf } from './primaries.js'
import type { Operation, Proof } from './refusals.js'
import { SCRIPTS } from './scripts.generated.js'

type Call = (...values: (string | number)[]) => Promise<unknown>
type Scripted = Record<keyof typeof SCRIPTS, Call>

/** The client, or a pipeline of it, with the scripts as methods, which ioredis's types cannot know. */
export function scripts(client: Sender): Scripted {
  return client as unknown as Scripted
}

/**
 * Loads the scripts into Redis, in a cluster into each primary, before they are needed, which saves the first claims a round trip. If Redis refuses, the first calls
 * send them.
 */
export async function loadScripts(connection: RedisConnection): Promise<void> {
  const texts = Object.values(SCRIPTS).map(({ lua }) => lua)
  await connection
    .ask((client) => Promise.all(serversOf(client).flatMap((server) => texts.map((lua) => server.script('LOAD', lua)))))
    .catch(() => {})
}

/**
 * A test write with all commands of the scripts, in a cluster in one partition or in each; it leaves nothing behind.
 * @throws what Redis answers if it refuses a write
 */
export async function probeWrites(connection: RedisConnection, keys: Keys, only?: number): Promise<void> {
  const partitions = only === undefined ? keys.everyPartition : [only]
  await Promise.all(partitions.map((partition) => probeWith(connection, keys.writeProbe(partition), partition)))
}

/** The same on one node of a cluster. @param tag a hash tag whose slot it serves */
export async function probeWritesOn(connection: RedisConnection, keys: Keys, tag: string): Promise<void> {
  await probeWith(connection, keys.writeProbeOn(tag))
}

function probeWith(connection: RedisConnection, { string, set, zset, hash, none }: WriteProbeKeys, partition = 0): Promise<unknown> {
  const ask = (client: Redis) => scripts(client).orderTimersProbe(string, set, zset, hash, none)
  return connection.ask(ask, { what: `probe${placed(partition)}`, partition, proves: wroteWithMemory })
}

/**
 * @param proves what an answer proves; by default that it wrote what needs memory
 * @param partition where it does so
 */
export function operation(what: string, kind: string, proves: (answer: unknown) => Proof = wroteWithMemory, partition = 0): Operation {
  return { what: partition === 0 ? `${what} ${kind}` : `${what} ${kind}${placed(partition)}`, partition, proves }
}

/** Behind what an operation does. */
export function placed(partition: number): string {
  return partition === 0 ? '' : ` in partition ${partition}`
}

/** For a script that may have had nothing to write. */
export function mayHaveWritten(): Proof {
  return undefined
}

function wroteWithMemory(): Proof {
  return 'memory'
}
