import assert from 'node:assert/strict'
import { isReply, replyFault, replyWord } from '../../lib/redis/replies.js'
import { CLIENTS } from '../support/ioredis-versions.js'

/** What Redis says, by the version that says it so, and within a script. */
const ANSWERS: [message: string, word: string, fault: string][] = [
  ["OOM command not allowed when used memory > 'maxmemory'.", 'OOM', 'REDIS_REFUSES'],
  [
    "ERR Error running script (call to f_52d0): @user_script:24: @user_script: 24: -OOM command not allowed when used memory > 'maxmemory'.",
    'OOM',
    'REDIS_REFUSES',
  ],
  ["ERR command not allowed when used memory > 'maxmemory'", 'OOM', 'REDIS_REFUSES'],
  ["OOM command not allowed when used memory > 'maxmemory'. script: 52d0, on @user_script:24.", 'OOM', 'REDIS_REFUSES'],
  ['MISCONF Redis is configured to save RDB snapshots, but it is currently unable to persist on disk.', 'MISCONF', 'REDIS_REFUSES'],
  ['MISCONF Errors writing to the AOF file: No space left on device', 'MISCONF', 'REDIS_REFUSES'],
  ['NOREPLICAS Not enough good replicas to write.', 'NOREPLICAS', 'REDIS_REFUSES'],
  ["NOPERM User shop has no permissions to run the 'zadd' command", 'NOPERM', 'REDIS_REFUSES'],
  ["ERR The user executing the script can't run this command or subcommand script: 52d0, on @user_script:3.", 'NOPERM', 'REDIS_REFUSES'],
  ["ERR ACL failure in script: User shop has no permissions to run the 'zpopmin' command", 'NOPERM', 'REDIS_REFUSES'],
  ['NOAUTH Authentication required.', 'NOAUTH', 'REDIS_REFUSES'],
  ['WRONGPASS invalid username-password pair or user is disabled.', 'WRONGPASS', 'REDIS_REFUSES'],
  ['WRONGTYPE Operation against a key holding the wrong kind of value', 'WRONGTYPE', 'REDIS_REFUSES'],
  ["ERR unknown command 'zpopmin', with args beginning with: ", 'ERR', 'REDIS_REFUSES'],
  ["READONLY You can't write against a read only replica.", 'READONLY', 'REDIS_UNUSABLE'],
  ["ERR Error running script (call to f_52d0): @user_script:9: @user_script: 9: -READONLY You can't write", 'READONLY', 'REDIS_UNUSABLE'],
  ["MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", 'MASTERDOWN', 'REDIS_UNUSABLE'],
  ['MOVED 3999 127.0.0.1:6381', 'MOVED', 'REDIS_UNUSABLE'],
  ['ASK 3999 127.0.0.1:6381', 'ASK', 'REDIS_UNUSABLE'],
  ['CLUSTERDOWN The cluster is down', 'CLUSTERDOWN', 'REDIS_UNUSABLE'],
  ["CROSSSLOT Keys in request don't hash to the same slot", 'CROSSSLOT', 'REDIS_UNUSABLE'],
  ['ERR This instance has cluster support disabled', 'ERR', 'REDIS_UNUSABLE'],
  ['LOADING Redis is loading the dataset in memory', 'LOADING', 'REDIS_UNAVAILABLE'],
  ['BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.', 'BUSY', 'REDIS_UNAVAILABLE'],
]

describe("Redis's answer", () => {
  for (const [message, word, fault] of ANSWERS) {
    it(`"${message.slice(0, 60)}" means ${word}, and ${fault}`, () => {
      assert.deepEqual([replyWord(new Error(message)), replyFault(new Error(message))], [word, fault])
    })
  }

  for (const [name, Client] of Object.entries(CLIENTS)) {
    it(`is recognised as ${name} makes it, also where a bundle has shortened the names of classes`, async () => {
      const client = new Client(process.env.REDIS_URL as string, { enableOfflineQueue: false, lazyConnect: true, maxRetriesPerRequest: 0 })
      client.on('error', () => {})
      await client.connect()
      const replies = [
        await failure(client.call('NO-SUCH-COMMAND')),
        await failure(client.eval("return redis.call('LPUSH', KEYS[1])", 1, 'key')),
        await failure(client.eval("return redis.error_reply('OOM command not allowed')", 0)),
      ]
      const pending = failure(client.blpop('t:never', 0))
      client.disconnect()
      const others = [await pending, await failure(client.get('key'))]
      for (const error of [...replies, ...replies.map(renamed)]) assert.ok(isReply(error), `${error.name} ${error.message}`)
      for (const error of [...others, ...others.map(renamed)]) assert.ok(!isReply(error), `${error.name} ${error.message}`)
    })
  }
})

async function failure(promise: Promise<unknown>): Promise<Error> {
  return promise.then(
    () => assert.fail('it succeeded'),
    (error) => error,
  )
}

/** The same, as it is in a minified bundle that has another copy of the class. */
function renamed(error: Error): Error {
  const { command } = error as Error & { command?: unknown }
  return Object.assign(Object.defineProperty(new Error(error.message), 'name', { value: 't' }), command === undefined ? {} : { command })
}
