// Rules for workers in processes of their own: a reminder and an `afterCommit`, each of which writes down in Postgres that it was told, over a
// connection of its own.

import type { Sequelize } from 'sequelize'
import { transition } from '../../lib/index.js'
import { defineParcel } from './parcels.js'

export const TOLD_TABLE = 'CREATE TABLE told (what text NOT NULL, key text NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp())'

export function makeRules(_order: unknown, sequelize: Sequelize) {
  const tell =
    (what: string) =>
    async (_parcels: unknown, { idempotencyKeys }: { idempotencyKeys: string[] }): Promise<void> => {
      await sequelize.query('INSERT INTO told (what, key) SELECT $1, unnest($2::text[])', {
        bind: [what, idempotencyKeys],
        transaction: null,
      })
    }
  return {
    order_confirm: transition(defineParcel(sequelize), {
      from: 4,
      to: 5,
      deadline: 'dueAt',
      after: '24h',
      history: true,
      reminders: [{ before: '2h', run: tell('reminder') }],
      afterCommit: tell('settled'),
    }),
  }
}
