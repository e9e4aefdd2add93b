// What a model says of its rows beside its columns: scopes, "not deleted", getters and setters.

import assert from 'node:assert/strict'
import { DataTypes, fn, type InitOptions, literal, Model, type ModelStatic, Op } from 'sequelize'
import { effect, type Rule, type Rules, transition } from '../../lib/index.js'
import type { Database } from '../support/database.js'
import { refused } from '../support/refused.js'
import { makeTimers, openShop, type Shop } from '../support/shop.js'
import { waitUntil } from '../support/waiting.js'

const DUE = { from: 4, to: 5, deadline: 'dueAt', after: '1h' } as const
const EVERY_SECOND = { fallback: '* * * * * *' }
const PAST = () => new Date(Date.now() - 1000)

const STORED = {
  id: { type: DataTypes.INTEGER, primaryKey: true, autoIncrement: true },
  status: { type: DataTypes.INTEGER, allowNull: false, defaultValue: 4 },
  type: { type: DataTypes.STRING, allowNull: false, defaultValue: 'online' },
  dueAt: { type: DataTypes.DATE, field: 'due_at' },
  leftMs: DataTypes.BIGINT,
  placedAt: { type: DataTypes.DATE, defaultValue: DataTypes.NOW },
}

function defineSale({ sequelize }: Pick<Database, 'sequelize'>, options: object = {}, attributes: object = {}): ModelStatic<Model> {
  class Sale extends Model {}
  const all = { ...STORED, ...attributes } as never
  return Sale.init(all, { sequelize, modelName: 'Sale', tableName: 'sales', timestamps: false, ...options } as InitOptions<Sale>)
}

describe('a model that says more of its rows', () => {
  let shop: Shop<Rules>
  let Sale: ModelStatic<Model>

  afterEach(() => shop?.close())

  const open = async (makeRules: (sale: ModelStatic<Model>) => object, options: object = {}, attributes: object = {}) => {
    shop = await openShop((database) => {
      Sale = defineSale(database, options, attributes)
      return makeRules(Sale) as Rules
    })
    await Sale.sync()
  }
  const sale = async (values: object): Promise<number> => {
    const created = await Sale.create({ dueAt: PAST(), ...values } as never)
    return (created as unknown as { dataValues: { id: number } }).dataValues.id
  }
  const statusOf = async (id: number): Promise<number> => {
    const { rows } = await shop.database.client.query('SELECT status FROM sales WHERE id = $1', [id])
    return rows[0].status
  }
  const settles = async (some: number[], others: number[]): Promise<void> => {
    const worker = await shop.worker(EVERY_SECOND)
    await waitUntil(async () => (await Promise.all(some.map(statusOf))).every((status) => status === 5))
    assert.deepEqual(await Promise.all(others.map(statusOf)), Array(others.length).fill(4))
    assert.equal(worker.health().kinds.due?.failed, 0)
    assert.deepEqual(worker.health().faults, [])
  }

  describe('by scopes', () => {
    const scopes = {
      defaultScope: { where: { type: 'online' } },
      scopes: {
        offline: { where: { type: 'offline' } },
        of: (type: string) => ({ where: { type } }),
        paid: { where: { leftMs: { [Op.gt]: 0 } } },
        late: { where: { dueAt: { [Op.lt]: fn('now') } } },
        either: { where: { [Op.or]: [{ type: 'offline' }, { leftMs: 7 }] } },
        raw: { where: literal("type = 'offline'") },
      },
    }

    it('settles what a default scope leaves out, and gives it to the shop as instances that can be reloaded', async () => {
      const seen: unknown[] = []
      const run = async (orders: Model[], { transaction }: { transaction: never }) => {
        for (const order of orders) {
          assert.ok(order instanceof Sale)
          seen.push((await order.reload({ transaction })).get('type'))
        }
      }
      await open((model) => ({ due: transition(model, { ...DUE, run } as never) }), scopes)
      const ids = [await sale({ type: 'online' }), await sale({ type: 'offline' })]
      await settles(ids, [])
      assert.deepEqual(seen.sort(), ['offline', 'online'])
    })

    const chosen: [string, (model: ModelStatic<Model>) => ModelStatic<Model>, object][] = [
      ['by name', (model) => model.scope('offline'), { type: 'offline' }],
      ['with an argument', (model) => model.scope({ method: ['of', 'offline'] }), { type: 'offline' }],
      ['in place', (model) => model.scope({ where: { type: 'offline' } }), { type: 'offline' }],
      ['several', (model) => model.scope(['offline', 'paid']), { type: 'offline', leftMs: 7 }],
      ['over a column of another name', (model) => model.scope(['offline', 'late']), { type: 'offline' }],
      ['with operators', (model) => model.scope('either'), { leftMs: 7 }],
      ['as a literal', (model) => model.scope('raw'), { type: 'offline' }],
      ['the default scope itself', (model) => model.scope('defaultScope'), { type: 'online' }],
    ]
    for (const [title, choose, values] of chosen) {
      for (const form of ['transition', 'effect'] as const) {
        it(`narrows a rule (${form}) to the scope that it is given: ${title}`, async () => {
          await open((model) => {
            const run = async (orders: Model[], { transaction }: { transaction: never }) => {
              for (const order of orders) await order.update({ status: 5 }, { transaction })
            }
            const own = choose(model)
            return form === 'transition'
              ? { due: transition(own, DUE as never) }
              : { due: effect(own, { where: { status: 4 }, deadline: 'dueAt', run } as never) }
          }, scopes)
          const [inside, outside] = [
            await sale(values),
            await sale({ type: Object.hasOwn(values, 'type') && 'online' in values ? '' : 'third' }),
          ]
          const { code } = await refused(() => shop.timers.schedule('due', outside, { after: '1h' } as never))
          assert.equal(code, 'ERR_ORDER_TIMERS_ORDER_NOT_IN_FROM')
          await settles([inside], [outside])
        })
      }
    }

    it('reads all of unscoped(), and the deleted too where the scope says paranoid: false', async () => {
      await open(
        (model) => ({
          due: transition(model.unscoped(), DUE as never),
          gone: transition(model.scope({ paranoid: false } as never), { ...DUE, from: 6, deadline: 'placedAt' } as never),
        }),
        { ...scopes, timestamps: true, createdAt: false, updatedAt: false, paranoid: true },
      )
      const [offline, deleted] = [await sale({ type: 'offline' }), await sale({ status: 6, placedAt: PAST() })]
      await Sale.destroy({ where: { id: deleted } })
      await settles([offline, deleted], [])
    })

    const no: [string, object, string][] = [
      ['include', { include: [] as unknown[] }, '"include"'],
      ['limit', { limit: 3 }, '"limit"'],
      ['attributes', { attributes: ['id'] }, '"attributes"'],
      ['order', { order: ['id'] }, '"order"'],
      ['group', { group: ['type'] }, '"group"'],
    ]
    for (const [title, scope, name] of no) {
      it(`refuses a scope with ${title}, which is no condition`, async () => {
        await open((model) => {
          const with_ =
            title === 'include' ? { include: [{ model, association: model.hasMany(model, { as: `more`, foreignKey: 'leftMs' }) }] } : scope
          return { due: transition(() => model.scope({ where: { type: 'online' }, ...with_ } as never), DUE as never) }
        }, scopes)
        const { code, message } = await refused(() => shop.timers.check())
        assert.equal(code, 'ERR_ORDER_TIMERS_INVALID_MODEL')
        assert.ok(message.includes(`the scope of Sale has ${name}, which are no condition on one row`), message)
      })
    }

    it('refuses two rules with one deadline, whatever scopes, models or names they know it by', async () => {
      await open((model) => ({ due: transition(model, DUE as never) }), scopes, { same: { type: DataTypes.DATE, field: 'due_at' } })
      const { sequelize } = shop.database
      const same = defineSale({ sequelize }, { modelName: 'Same' })
      const other = { ...DUE, from: 6 }
      const pairs: [unknown, unknown, string?][] = [
        [Sale, Sale],
        [Sale.scope('offline'), Sale],
        [Sale.scope('offline'), Sale.scope('paid')],
        [() => Sale.scope('offline'), () => Sale.scope('paid')],
        [Sale, same],
        [Sale, Sale, 'same'],
      ]
      for (const [one, another, deadline = 'dueAt'] of pairs) {
        const { code } = await refused(async () => {
          const rules = {
            due: transition(one as never, DUE as never),
            other: transition(another as never, { ...other, deadline } as never),
          }
          const timers = makeTimers(rules as Rules, { redis: false, logger: false })
          await timers.remaining('due', 1).catch(() => {}) // binds the first rule
          await timers.remaining('other', 1).finally(() => timers.close())
        })
        assert.equal(code, 'ERR_ORDER_TIMERS_SHARED_DEADLINE')
      }
    })
  })

  describe('by "deletedAt"', () => {
    const paranoid = { timestamps: true, createdAt: false, updatedAt: false, paranoid: true }
    const defaults: [string, object][] = [
      ['none', {}],
      ['a date', { deletedAt: { type: DataTypes.DATE, defaultValue: new Date(0) } }],
      ['a text', { deletedAt: { type: DataTypes.DATE, defaultValue: '1970-01-01T00:00:00Z' } }],
      ['a number, in a column of another name', { deletedAt: { type: DataTypes.INTEGER, field: 'deleted', defaultValue: -1 } }],
      ['an expression', { deletedAt: { type: DataTypes.DATE, defaultValue: fn('to_timestamp', 0) } }],
    ]
    for (const [title, attributes] of defaults) {
      it(`settles what Sequelize itself finds, with the default ${title}, and nothing that is deleted`, async () => {
        await open((model) => ({ due: transition(model, DUE as never) }), paranoid, attributes)
        const [there, deleted] = [await sale({}), await sale({})]
        const column = title.startsWith('a number') ? 'deleted = 1' : title === 'an expression' ? '"deletedAt" = now()' : undefined
        if (column) await shop.database.client.query(`UPDATE sales SET ${column} WHERE id = $1`, [deleted])
        else await Sale.destroy({ where: { id: deleted } })
        assert.equal(await Sale.count(), 1)
        assert.ok((await shop.timers.remaining('due', there)) !== null)
        await settles([there], [deleted])
      })
    }
  })

  describe('by getters and setters', () => {
    const shown = (name: string) =>
      function get(this: Model) {
        return `shown: ${String(this.getDataValue(name as never))}`
      }
    let refusing = false
    const unlessRefusing = (name: string) =>
      function set(this: Model, value: unknown) {
        assert.ok(!refusing, 'a setter was asked')
        this.setDataValue(name as never, value as never)
      }
    /** Each attribute that a rule names, as no statement of ours may read or write it. */
    const presented = Object.fromEntries(
      Object.entries({
        ...STORED,
        deletedAt: { type: DataTypes.DATE },
        extended: { type: DataTypes.INTEGER },
        updatedAt: { type: DataTypes.DATE },
      }).map(([name, attribute]) => {
        const column = typeof attribute === 'object' && 'type' in attribute ? attribute : { type: attribute }
        return [name, { ...column, get: shown(name) }]
      }),
    )
    const SALE = { where: { type: 'online' }, pause: { keep: 'leftMs' }, maxExtensions: 3, extended: 'extended' }
    const options = { timestamps: true, createdAt: false, paranoid: true }

    const instanceOf = (id: number) => Sale.findByPk(id, { rejectOnEmpty: true })

    for (const auto of [false, true]) {
      it(`reads stored values in every call about an instance${auto ? ', and writes them with "auto"' : ''}`, async () => {
        await open(
          (model) => ({
            due: transition(model, { ...DUE, ...SALE, auto } as never),
            pay: transition(model, { from: 1, to: 0, since: 'placedAt', after: '15m', auto } as never),
          }),
          options,
          presented,
        )
        const id = await sale({ dueAt: null })
        const calls = shop.timers as unknown as Record<string, (...args: unknown[]) => Promise<{ deadline?: Date | null }>>
        for (const [call, ...more] of [['schedule'], ['extend', '1h'], ['pause'], ['resume'], ['remaining'], ['cancel']] as const) {
          await calls[call]?.('due', await instanceOf(id), ...more)
        }
        const unpaid = await sale({ status: 1 })
        const { deadline } = await shop.timers.schedule('pay', await instanceOf(unpaid))
        const { rows } = await shop.database.client.query('SELECT "placedAt" AS at FROM sales WHERE id = $1', [unpaid])
        assert.equal((deadline as Date).getTime() - rows[0].at.getTime(), 15 * 60_000)
        assert.deepEqual(
          (await shop.timers.list(await instanceOf(unpaid))).map(({ kind, id: listed }) => [kind, listed]),
          [['pay', String(unpaid)]],
        )
      })
    }

    it('settles with hooks by stored values, whatever a setter would make of them', async () => {
      const saved: unknown[] = []
      refusing = false
      await open(
        (model) => ({ due: transition(model, { ...DUE, individualHooks: true, set: { type: 'settled' } } as never) as Rule }),
        {},
        Object.fromEntries(
          (['status', 'dueAt', 'type'] as const).map((name) => [name, { ...STORED[name], get: shown(name), set: unlessRefusing(name) }]),
        ),
      )
      Sale.addHook('beforeUpdate', (instance) => void saved.push(instance.changed()))
      const id = await sale({})
      refusing = true
      await settles([id], [])
      assert.deepEqual((saved[0] as string[]).sort(), ['dueAt', 'status', 'type'])
    })
  })
})
