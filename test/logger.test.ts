import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { type LogLevel, stderrLog, toLog } from '../lib/logger.js'
import { runProgram } from './support/command-line.js'
import { freePort } from './support/free-port.js'
import { dieWithTests } from './support/opened.js'
import { programArgs } from './support/programs.js'
import { inTime, waitUntil } from './support/waiting.js'

const LEVELS: LogLevel[] = ['debug', 'info', 'warn', 'error']
const WHAT = { code: 'WHAT', kind: 'order_confirm' }

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
      toLog(pino.logger)(level, 'a line', WHAT)
      toLog(plain.logger)(level, 'a line', WHAT)
    }
    assert.deepEqual(
      pino.calls,
      LEVELS.map((level) => [level, true, WHAT, 'a line']),
    )
    assert.deepEqual(
      plain.calls,
      LEVELS.map((level) => [level, true, 'a line', WHAT]),
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
    toLog({ debug: throws, info: throws, warn: throws, error: throws })('error', 'a line', WHAT)
  })

  it('is asked whether debug lines are written, so that none is built in vain for each order', () => {
    assert.equal(toLog(undefined).debugs, false)
    assert.equal(toLog(false).debugs, false)
    assert.equal(toLog(recorder().logger).debugs, true)
    for (const enabled of [true, false]) {
      const { logger } = recorder({ isLevelEnabled: (level: string) => level === 'debug' && enabled })
      assert.equal(toLog(logger).debugs, enabled)
    }
  })

  it('is asked that each time, since its level may be changed while the process runs', () => {
    let enabled = false
    const log = toLog(recorder({ isLevelEnabled: () => enabled }).logger)
    assert.equal(log.debugs, false)
    enabled = true
    assert.equal(log.debugs, true)
  })

  it('makes a message that costs something only where there is a logger', () => {
    const { logger, calls } = recorder()
    toLog(undefined)('info', () => assert.fail('nobody reads it'))
    toLog(false)('error', () => assert.fail('nobody reads it'), WHAT)
    toLog(logger)('info', () => 'made')
    assert.deepEqual(calls, [['info', true, 'made', {}]])
  })
})

describe('without a logger', () => {
  it('warnings, errors and the lines with a code are one line each, with time, level, package and code', () => {
    const lines: string[] = []
    const log = stderrLog((line) => lines.push(line))
    log('debug', 'not shown', WHAT)
    log('info', 'not shown')
    log('info', 'started', { code: 'STARTED' })
    log('warn', 'REDIS_REFUSES: it is full', { code: 'REDIS_REFUSES', error: 'OOM command not allowed' })
    log('error', () => 'order_confirm 34: dead letter: no stock', { code: 'DEAD_LETTER', kind: 'order_confirm', error: 'no stock' })
    log('warn', 'a key \r\n2026-01-01 error forged\u001b[31m\u2028\u0085', { code: 'KEY' })
    const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z /
    for (const line of lines) assert.match(line, time)
    assert.deepEqual(
      lines.map((line) => line.replace(time, '')),
      [
        'info express-order-timers STARTED: started',
        'warn express-order-timers REDIS_REFUSES: it is full (OOM command not allowed)',
        'error express-order-timers DEAD_LETTER: order_confirm 34: dead letter: no stock',
        'warn express-order-timers KEY: a key \\u000d\\n2026-01-01 error forged\\u001b[31m\\u2028\\u0085',
      ],
    )
    log.flush()
  })

  it('each code of each rule has one line a minute, and what came again is counted, to its end the latest', async () => {
    const lines: string[] = []
    const log = stderrLog((line) => lines.push(line.slice(line.indexOf(' ') + 1)), 1000)
    for (let id = 1; id <= 42; id += 1) log('warn', `order ${id}`, { code: 'RULE_FAILED', kind: 'order_confirm' })
    log('warn', 'order 1', { code: 'RULE_FAILED', kind: 'order_pay' })
    log('warn', 'DOWN: no answer', { code: 'DOWN' })
    log('info', 'DOWN: over', { code: 'DOWN' })
    const first = [
      'warn express-order-timers RULE_FAILED: order 1',
      'warn express-order-timers RULE_FAILED: order 1',
      'warn express-order-timers DOWN: no answer',
      'info express-order-timers DOWN: over',
    ]
    assert.deepEqual(lines, first)
    await waitUntil(() => lines.length > first.length)
    assert.deepEqual(lines.slice(first.length), ['warn express-order-timers RULE_FAILED: order 42 (and 41 more)'])
    log('warn', 'order 43', { code: 'RULE_FAILED', kind: 'order_confirm' })
    assert.equal(lines.length, first.length + 1)
    log.flush()
    assert.equal(lines.at(-1), 'warn express-order-timers RULE_FAILED: order 43 (and 1 more)')
    log.flush()
    assert.equal(lines.length, first.length + 2)
  })

  it('the last line of a fault that comes and goes is how it stands', () => {
    for (const last of ['warn', 'info'] as const) {
      const lines: string[] = []
      const log = stderrLog((line) => lines.push(line))
      const told = last === 'warn' ? ['warn', 'info', 'warn', 'info', 'warn'] : ['warn', 'info', 'warn', 'info']
      for (const level of told as LogLevel[]) log(level, level === 'warn' ? 'no answer' : 'over', { code: 'DOWN' })
      log.flush()
      assert.match(lines.at(-1) ?? '', last === 'warn' ? / warn .*no answer \(and \d more\)$/ : / info .*over \(and \d more\)$/)
      log.flush()
    }
  })

  it('a console that throws harms nothing', () => {
    const log = stderrLog(() => {
      throw new Error('disk full')
    })
    log('error', 'a line', WHAT)
  })

  const main = new URL('support/loggerless-main.ts', import.meta.url)
  const root = fileURLToPath(new URL('..', import.meta.url))
  const program = async (...more: string[]) => [...programArgs(main), `redis://127.0.0.1:${await freePort()}`, ...more]

  it('a process says on stderr what is wrong, and nothing on stdout', async () => {
    const { status, stdout, stderr } = await runProgram(await program(), root)
    assert.deepEqual([status, stdout], [0, ''])
    assert.match(stderr, /^\S+Z warn express-order-timers REDIS_UNAVAILABLE: .*ECONNREFUSED/m)
    assert.match(stderr, /^\S+Z error express-order-timers LISTENER_THREW: a listener of "stopped" threw/m)
  })

  it('`logger: false` is silent', async () => {
    assert.deepEqual(await runProgram(await program('false'), root), { status: 0, stdout: '', stderr: '' })
  })

  it('a stderr that is closed harms nothing', async () => {
    const child = dieWithTests(spawn(process.execPath, await program(), { cwd: root, stdio: ['ignore', 'ignore', 'pipe'] }))
    child.stderr?.destroy()
    assert.deepEqual(await inTime(once(child, 'exit'), 15_000, 'it to end'), [0, null])
  })
})
