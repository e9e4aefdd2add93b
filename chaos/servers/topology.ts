// What Redis and Postgres are in a chaos run.

export const REDIS_TOPOLOGIES = ['server', 'sentinel', 'cluster'] as const
export const POSTGRES_TOPOLOGIES = ['server', 'standby'] as const

export type RedisTopology = (typeof REDIS_TOPOLOGIES)[number]
export type PostgresTopology = (typeof POSTGRES_TOPOLOGIES)[number]

export interface Topology {
  redis: RedisTopology
  postgres: PostgresTopology
}
