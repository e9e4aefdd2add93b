// A script that mounts the timers and makes no call, and has nothing more to do after a while. It says `beaten` before that.

import express from 'express'
import { orderTimers } from '../../lib/index.js'

const [redis = '', prefix = ''] = process.argv.slice(2)
const timers = orderTimers({ redis, prefix, logger: false, rules: { order_other: () => {} } })
express().use(timers)
setTimeout(() => process.stdout.write('done\n'), 8_000)
