// A process that releases the hold of hold.test.ts and moves the deadlines, to be killed meanwhile.

import { orderTimers } from '../../lib/index.js'
import { ownConfig, tell } from '../support/child-program.js'
import { sequelizeOn } from '../support/database.js'
import { defineOrder } from '../support/order.js'
import { makeRules } from './hold-rules.js'

const { databaseUrl, schema } = ownConfig<{ databaseUrl: string; schema: string }>()
const sequelize = sequelizeOn(databaseUrl, schema, {})
const timers = orderTimers({ logger: false, redis: false, rules: makeRules(defineOrder(sequelize)) })
tell({ ready: true })
await timers.release('order_confirm', { shift: true })
process.disconnect()
