import assert from 'node:assert/strict'
import type { Redis, RedisOptions } from 'ioredis'
import { orderTimers } from '../../lib/index.js'
import type { RedisSource } from '../../lib/redis/single-source.js'
import { parseRedisSource } from '../../lib/redis/source.js'
import { refused } from '../support/refused.js'

const source = (redis: unknown) => parseRedisSource(redis) as RedisSource
const optionsOf = (redis: unknown): RedisOptions => (source(redis).create('test') as Redis).options

describe("Redis's address", () => {
  const understood: [given: string | number | object, where: string, more?: RedisOptions][] = [
    ['redis://127.0.0.1:6379', '127.0.0.1:6379 db 0'],
    ['redis://cache', 'cache:6379 db 0'],
    ['redis://cache:6380/2', 'cache:6380 db 2', { port: 6380, db: 2 }],
    ['redis://cache/?db=3', 'cache:6379 db 3', { db: 3 }],
    ['redis:///1', 'localhost:6379 db 1'],
    ['redis://cache?family=6', 'cache:6379 db 0', { family: 6 }],
    ['redis://[::1]:6380', '[::1]:6380 db 0', { host: '::1' }],
    ['rediss://cache:6380', 'cache:6380 db 0', { tls: {} }],
    ['REDISS://cache:6380', 'cache:6380 db 0', { tls: {} }],
    ['redis://cache?tls=true', 'cache:6379 db 0', { tls: {} }],
    ['redis://u:p%23%2F%3F%40%25@cache', 'cache:6379 db 0', { username: 'u', password: 'p#/?@%' }],
    ['redis://u:p@ss@cache', 'cache:6379 db 0', { username: 'u', password: 'p@ss' }],
    ['redis://:geheim@cache', 'cache:6379 db 0', { password: 'geheim' }],
    ['redis://cache?username=u&password=ge%40heim', 'cache:6379 db 0', { username: 'u', password: 'ge@heim' }],
    ['//cache:6380/1', 'cache:6380 db 1'],
    ['cache:6380', 'cache:6380 db 0'],
    ['cache', 'cache:6379 db 0'],
    ['127.0.0.1', '127.0.0.1:6379 db 0'],
    ['[::1]', '[::1]:6379 db 0'],
    ['u:geheim@cache:6380', 'cache:6380 db 0', { username: 'u', password: 'geheim' }],
    [' redis://cache ', 'cache:6379 db 0'],
    ['6380', 'localhost:6380 db 0'],
    [6380, 'localhost:6380 db 0'],
    ['/run/redis.sock', '/run/redis.sock db 0', { path: '/run/redis.sock' as never }],
    ['/run/redis.sock?db=2', '/run/redis.sock db 2', { db: 2 }],
    ['unix:///run/redis.sock?db=2', '/run/redis.sock db 2', { db: 2 }],
    [{}, 'localhost:6379 db 0'],
    [{ host: 'cache', port: '6380', db: '2' }, 'cache:6380 db 2', { port: 6380, db: 2 }],
    [{ path: '/run/redis.sock' }, '/run/redis.sock db 0'],
    [{ sentinels: [{ host: 'a', port: 1 }, { host: 'b' }], name: 'shop', password: 'geheim' }, '"shop" by Sentinel a:1, b:26379 db 0'],
    [Object.assign(Object.create(null), { host: 'cache' }), 'cache:6379 db 0'],
  ]

  for (const [given, where, more = {}] of understood) {
    it(`may be ${JSON.stringify(given)}: ${where}`, () => {
      assert.equal(source(given).describe(), where)
      const options = optionsOf(given)
      for (const [name, value] of Object.entries(more)) assert.deepEqual(options[name as keyof RedisOptions], value, name)
    })
  }

  it('is 127.0.0.1:6379 where none is given', () => {
    assert.equal(source(undefined).describe(), '127.0.0.1:6379 db 0')
  })

  const ENCODE = /encode #, \/, \?, @ and % in a user name or a password with encodeURIComponent/
  const refusals: [given: unknown, remedy: RegExp][] = [
    // a password that is not encoded: each of these would lead to another host, port or db
    ['redis://:ge#heim@cache:6379/1', ENCODE],
    ['redis://u:123#heim@cache', ENCODE],
    ['redis://u:123?heim@cache', ENCODE],
    ['redis://u:123/heim@cache:6379/1', ENCODE],
    ['redis://u:ge/heim@cache', ENCODE],
    ['redis://u:ge%heim@cache', ENCODE],
    ['rediss://u:123#heim@cache', ENCODE],
    ['u:123#heim@cache', ENCODE],
    ['u:123/heim@cache', ENCODE],
    ['//u:123#heim@cache', ENCODE],
    ['redis//:geheim@cache', ENCODE],
    ['redis:/:geheim@cache', ENCODE],
    ['redis://u:ge@heim@cache:x', ENCODE],
    ['redis://:geheim', ENCODE],
    ['redis://:geheim@cache:99999999', ENCODE],
    ['redis://u:ge heim@cache:6379', /must not contain spaces/],
    // no address
    ['', /such as redis:\/\/127\.0\.0\.1:6379\/0/],
    ['undefined', /or false, got "undefined"/],
    ['redis://', /names no host; write redis:\/\/host:port\/db/],
    ['redis://:geheim@', /encode/],
    ['http://u:geheim@cache:6379', /its scheme is redis, rediss \(TLS\) or unix/],
    ['tcp://cache:6379', /its scheme is redis, rediss \(TLS\) or unix/],
    ['redis+sentinel://cache:26379/shop', /by Sentinel, give ioredis options: \{ sentinels: \[/],
    ['redis-cluster://cache:6379', /give the nodes of a cluster as redis: { nodes:/],
    ['valkey://cache:6379', /write redis, or rediss for TLS/],
    ['redis://u:geheim@a:26379,b:26379', /names several servers; by Sentinel, give ioredis options/],
    ['a:26379,b:26379', /names several servers/],
    ['unix://redis.sock', /the absolute path of the socket/],
    ['unix://u:geheim@/run/redis.sock', /a user before the path of a socket; write unix:\/\/\/run\/redis\.sock\?username=…&password=…/],
    ['cache:6379/1', /write redis:\/\/host:port\/db/],
    ['::1', /put an IPv6 address in brackets/],
    // what ioredis would take for db 0, or for its own default
    ['redis://cache/shop', /must name a db by its number/],
    ['redis://cache/1/2', /must name a db by its number/],
    ['redis://cache/-1', /must name a db by its number/],
    ['redis://cache?db=shop', /must name a db by its number/],
    [{ host: 'cache', db: 'shop' }, /must name a db by its number/],
    [{ host: 'cache', db: -1 }, /must name a db by its number/],
    [{ host: 'cache', db: 1.5 }, /must name a db by its number/],
    ['70000', /a port from 1 to 65535, not 70000/],
    [70_000, /a port from 1 to 65535, not 70000/],
    [0, /a port from 1 to 65535, not 0/],
    [{ host: 'cache', port: 'x' }, /a port from 1 to 65535, not "x"/],
    ['redis://cache?family=x', /a number as "family"/],
    ['redis://cache?tls=no', /tls=true or tls=false/],
    [{ url: 'redis://:geheim@cache' }, /"url", which ioredis ignores; give the URL itself/],
    [{ socket: { host: 'cache' }, password: 'geheim' }, /"socket", which ioredis ignores/],
    [{ host: 'redis://u:geheim@cache:6379' }, /a "host" that is more than a host/],
    [{ host: 'cache:6380' }, /a "host" that is more than a host/],
    [{ sentinels: [], name: 'shop' }, /must have Sentinels' addresses and the name/],
    [{ sentinels: ['a:26379'], name: 'shop' }, /must have Sentinels' addresses and the name/],
    [{ sentinels: [{ host: 'a' }] }, /must have Sentinels' addresses and the name/],
    [{ hostname: 'cache' }, /ioredis calls it "host"/],
    [{ host: 'cache', user: 'shop', password: 'geheim' }, /"user", which ioredis ignores; ioredis calls it "username"/],
    [{ host: 'cache', username: 'shop', pass: 'geheim' }, /"pass", which ioredis ignores; ioredis calls it "password"/],
    [{ nodes: ['cache'], redisOptions: { user: 'shop' } }, /"user", which ioredis ignores/],
    [{ database: 1 }, /ioredis calls it "db"/],
    [{ keyPrefix: Buffer.from('shop:') }, /text as "keyPrefix"/],
  ]

  for (const [given, remedy] of refusals) {
    it(`is refused as ${JSON.stringify(given)}, with the remedy and without the password`, async () => {
      const { code, message } = await refused(() => orderTimers({ rules: { order_other: () => {} }, redis: given as never }))
      assert.equal(code, 'ERR_ORDER_TIMERS_INVALID_OPTION')
      assert.match(message, /^orderTimers: "redis" /)
      assert.match(message, remedy)
      assert.doesNotMatch(message, /heim/)
    })
  }

  for (const redis of [
    [
      { host: 'a', port: 7000 },
      { host: 'b', port: 7000 },
    ],
    ['a:7000', 'b:7000'],
    { rootNodes: [{ url: 'redis://a' }] },
  ]) {
    it(`is refused as ${JSON.stringify(redis)}: the nodes of a cluster have a name`, async () => {
      const { code, message } = await refused(() => orderTimers({ rules: { order_other: () => {} }, redis: redis as never }))
      assert.equal(code, 'ERR_ORDER_TIMERS_INVALID_OPTION')
      assert.match(message, /must have the nodes of a cluster as "nodes": redis: \{ nodes: \[…\] \}$/)
    })
  }
})
