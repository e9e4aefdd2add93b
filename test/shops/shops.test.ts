// Shops as others write them, which use the package by its name and as it was built, driven over HTTP.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import type { Express } from 'express'
import type { Sequelize } from 'sequelize'
import request from 'supertest'
import type { ExpiryWorker, OrderTimers } from '../../lib/index.js'
import { assertNotScheduled, assertScheduled, expire } from '../../lib/testing.js'
import { flush } from '../support/armed.js'
import { enter } from '../support/opened.js'
import { openRedis, type TestRedis } from '../support/redis.js'

interface Config {
  databaseUrl: string
  schema: string
  redis: string
  prefix: string
}

interface Shop {
  app: Express
  sequelize: Sequelize
  timers: OrderTimers
  worker: ExpiryWorker
}

type OpenShop = (config: Config) => Promise<Shop>

const SHOPS: [title: string, load: () => Promise<OpenShop>][] = [
  ['CommonJS on Express 4', async () => createRequire(import.meta.url)('./express4.cjs')],
  [
    'ES modules on Express 5, its routers as apps of their own',
    async () => (await import(new URL('express5.mjs', import.meta.url).href)).default,
  ],
]

for (const [title, load] of SHOPS) {
  describe(`a shop of ${title}`, () => {
    let redis: TestRedis
    let shop: Shop
    let schema: string
    let strikeOut: () => void

    beforeEach(async () => {
      redis = await openRedis()
      schema = `t_${randomBytes(6).toString('hex')}`
      const databaseUrl = process.env.DATABASE_URL as string
      const { Sequelize } = await import('sequelize')
      const first = new Sequelize(databaseUrl, { logging: false })
      await first.createSchema(schema, {})
      await first.close()
      shop = await (await load())({ databaseUrl, schema, redis: redis.url, prefix: redis.prefix })
      strikeOut = enter(title, () => shop.worker.stop())
      await shop.worker.ready
    })

    afterEach(async () => {
      await shop.worker.stop()
      await shop.timers.close()
      await shop.sequelize.dropSchema(schema, {})
      await shop.sequelize.close()
      await flush(redis)
      await redis.close()
      strikeOut()
    })

    const post = (path: string) => request(shop.app).post(path)
    const statusOf = async (id: string) => (await request(shop.app).get(`/orders/${id}`).expect(200)).body.status
    const placed = async (): Promise<string> => (await post('/orders').expect(201)).body.id

    it('cancels what is not paid, and takes no payment for it then', async () => {
      const id = await placed()
      await assertScheduled(shop.timers, 'order_pay', id, { after: '14m', within: '15m' })
      await expire(shop.worker, 'order_pay', id)
      assert.equal(await statusOf(id), 'cancelled')
      await post(`/orders/${id}/pay`).expect(409)
    })

    it('confirms what was shipped, although no route calls the timers', async () => {
      const id = await placed()
      await post(`/orders/${id}/pay`).expect(204)
      await assertNotScheduled(shop.timers, 'order_pay', id)
      await assertNotScheduled(shop.timers, 'order_confirm', id)
      const { body } = await post(`/orders/${id}/ship`).expect(200)
      const { deadline } = await assertScheduled(shop.timers, 'order_confirm', id, { after: '23h', within: '24h' })
      if (body.timers) assert.equal(body.timers[0].deadline, deadline.toISOString())
      await expire(shop.worker, 'order_confirm', id)
      assert.equal(await statusOf(id), 'completed')
    })
  })
}
