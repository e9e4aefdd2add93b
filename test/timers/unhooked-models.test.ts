import assert from 'node:assert/strict'
import express from 'express'
import { Model } from 'sequelize'
import request from 'supertest'
import { type Rules, transition } from '../../lib/index.js'
import { Lines } from '../support/lines.js'
import { makeTimers } from '../support/shop.js'

describe('a model that is not hooked', () => {
  it('is reported by the first request, once, and the requests are served', async () => {
    class Never extends Model {}
    const logger = new Lines()
    const order_confirm = transition(Never as never, { from: 4, to: 5, deadline: 'dueAt', after: '24h', auto: true } as never)
    const timers = makeTimers({ order_confirm } as Rules, { redis: false, logger })
    const app = express().use(timers, (_req, res) => void res.end())
    assert.deepEqual(logger.all, [])
    for (let times = 0; times < 2; times += 1) await request(app).get('/').expect(200)
    const message = 'order_confirm: its model could not be hooked ("auto"), and its orders get no deadlines; timers.check() says why'
    assert.deepEqual(logger.all, [{ level: 'error', message, fields: { code: 'NOT_HOOKED', kind: 'order_confirm' } }])
    await timers.close()
  })
})
