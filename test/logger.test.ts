import assert from 'node:assert/strict'
import { type LogLevel, toLog } from '../lib/logger.js'

const LEVELS: LogLevel[] = ['debug', 'info', 'warn', 'error']

function recorder(more: object = {}) {
  const calls: unknown[][] = []
  const write = (level: LogLevel) =>
    function (this: unknown, ...args: unknown[]) {
      calls.push([level, this === logger, ...args])
    }
  const logger = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error'), ...more }
  return { logger, calls }
}

describe('a logger', () => {
  it("of pino's shape gets the fields first, any other the message", () => {
    const pino = recorder({ bindings: () => ({}) })
    const plain = recorder()
    for (const level of LEVELS) {
      toLog(pino.logger)(level, 'a line', { kind: 'order_confirm' })
      toLog(plain.logger)(level, 'a line', { kind: 'order_confirm' })
    }
    assert.deepEqual(
      pino.calls,
      LEVELS.map((level) => [level, true, { kind: 'order_confirm' }, 'a line']),
    )
    assert.deepEqual(
      plain.calls,
      LEVELS.map((level) => [level, true, 'a line', { kind: 'order_confirm' }]),
    )
  })

  it('may be console itself', () => {
    const info = console.info
    const lines: unknown[][] = []
    console.info = (...args) => void lines.push(args)
    try {
      toLog(console)('info', 'a line', { count: 1 })
    } finally {
      console.info = info
    }
    assert.deepEqual(lines, [['a line', { count: 1 }]])
  })

  it('that throws harms nothing', () => {
    const throws = () => {
      throw new Error('disk full')
    }
    toLog({ debug: throws, info: throws, warn: throws, error: throws })('error', 'a line')
  })

  it('is asked whether debug lines are read, so that none is made for each order in vain', () => {
    assert.equal(toLog(undefined).debugs, false)
    assert.equal(toLog(recorder().logger).debugs, true)
    for (const enabled of [true, false]) {
      const { logger } = recorder({ isLevelEnabled: (level: string) => level === 'debug' && enabled })
      assert.equal(toLog(logger).debugs, enabled)
    }
  })

  it('makes a message that costs something only where there is a logger', () => {
    const { logger, calls } = recorder()
    toLog(undefined)('info', () => assert.fail('nobody reads it'))
    toLog(logger)('info', () => 'made')
    assert.deepEqual(calls, [['info', true, 'made', {}]])
  })
})
