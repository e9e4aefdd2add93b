// The line that a worker logs once when it has started: its rules, the next sweep, its Redis, and whether expiry events arrive.

export interface Started {
  kinds: readonly string[]
  /** Null if no sweep is scheduled. */
  nextSweep: Date | null
  /** Undefined with `redis: false`. `events`: whether expiry events were proved to arrive, undefined while that is unknown. */
  redis: { where: string; connected: boolean; subscribed: boolean; events: boolean | undefined } | undefined
}

export function startLine({ kinds, nextSweep, redis }: Started): string {
  const sweep = nextSweep === null ? 'no sweep is scheduled' : `next sweep ${nextSweep.toISOString()}`
  return `worker started: ${kinds.length === 1 ? 'rule' : 'rules'} ${kinds.join(', ')}; ${sweep}; ${redis ? redisText(redis) : 'no Redis, the sweep alone'}`
}

function redisText({ where, connected, subscribed, events }: NonNullable<Started['redis']>): string {
  if (!connected) return `Redis at ${where} does not answer yet`
  const proof =
    events === undefined ? 'expiry events not proved yet' : events ? 'expiry events proved to arrive' : 'expiry events do not arrive'
  return `Redis at ${where}, ${subscribed ? proof : 'not subscribed to expiry events'}`
}
