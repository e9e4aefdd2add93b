// A shop in a process of its own that schedules in a transaction when it is told to, so that it can be killed between the commit and the
// arming. As a program it is its own child: `startShopProcess` starts this same file.

import { orderTimers } from '../../lib/index.js'
import { ChildProgram, onTold, ownConfig, tell } from '../support/child-program.js'
import { sequelizeOn } from '../support/database.js'
import { defineOrder } from '../support/order.js'
import { makeRules } from './effect-rules.js'

interface ShopConfig {
  databaseUrl: string
  schema: string
  redisUrl: string
  prefix: string
}

export function startShopProcess(config: ShopConfig): Promise<ChildProgram> {
  return ChildProgram.start(new URL(import.meta.url), config)
}

if (process.argv[1] === new URL(import.meta.url).pathname) main(ownConfig<ShopConfig>())

function main(config: ShopConfig): void {
  const sequelize = sequelizeOn(config.databaseUrl, config.schema)
  const rules = makeRules(defineOrder(sequelize), sequelize)
  const timers = orderTimers({ logger: false, redis: config.redisUrl, prefix: config.prefix, rules })
  onTold('schedule', ({ id, after }: { id: number; after: number }) =>
    sequelize.transaction((transaction) => timers.schedule('order_confirm', id, { after, transaction })),
  )
  tell({ ready: true })
}
