// Whether this Redis user may do everything that timers do. Redis checks each command with one of our keys or channels, and runs none of them
// (redis.acl_check_cmd, Redis 7). The refused rights become one ACL line. A command that was renamed or disabled has no right to check, and is named.

import { isReply, replyWord, UNRENAMED } from '../../redis/replies.js'
import { aclRules, channelsOf, commandsOf, escapedGlob } from '../../redis/rights.js'
import { reminderKind } from '../../rules/reminder.js'
import { byHand, type Check, type Finding, fine, redisCli, unseen, wrong } from './check.js'
import type { Subject, SubjectRedis } from './subject.js'
import { why } from './subject.js'

const NAME = 'redis.rights'
const WAIT_MS = 5_000

const ASK = `if not redis.acl_check_cmd then return 'too old' end
local answers = {}
for i, line in ipairs(cjson.decode(ARGV[1])) do
  local exists, may = pcall(redis.acl_check_cmd, unpack(line))
  answers[i] = exists and (may and 1 or 0) or 2
end
return answers`

/** Answers of ASK. */
const ALLOWED = 1
const UNKNOWN = 2

/** Timers work without it: nothing is learned from it that is not proved otherwise. */
const DISPENSABLE = ['info']

/** A command with arguments, and the key pattern or the channel that it is about; the latter is empty for neither. */
interface Question {
  command: string
  args: string[]
  about: string
}

export const redisRights: Check = {
  name: NAME,
  needs: 'redis',
  ofEachNode: true, // each has users of its own
  async look(subject) {
    return [await rights(subject)]
  },
}

async function rights(subject: Subject): Promise<Finding> {
  const { connection, source } = subject.redis as SubjectRedis
  const { user } = source
  const questions = questionsOf(subject)
  const expected = `the user ${user} may use ${new Set(questions.map(({ command }) => command)).size} commands on the keys and channels of the timers`
  let answers: unknown
  try {
    answers = await connection.run(WAIT_MS, (client) =>
      client.eval(ASK, 0, JSON.stringify(questions.map(({ command, args }) => [...command.split('|'), ...args]))),
    )
  } catch (error) {
    if (!isReply(error) || replyWord(error) !== 'NOPERM') throw error
    return wrong(NAME, { expected, found: `it may not run scripts (${why(error)})` }, redisCli(fullLine(user, subject)))
  }
  if (!Array.isArray(answers)) {
    const found = 'Redis before 7 cannot be asked; redis.writes has tried the commands'
    return unseen(NAME, { expected, found }, redisCli(fullLine(user, subject)))
  }
  const answered = (answer: number) => questions.filter((_, i) => answers[i] === answer)
  const [granted, unknown] = [answered(ALLOWED), answered(UNKNOWN)]
  const refused = questions.filter((one) => !granted.includes(one) && !unknown.includes(one))
  const absent = [...new Set(unknown.map(({ command }) => command))]
  if (refused.length === 0 && absent.every((command) => DISPENSABLE.includes(command))) {
    const found = absent.length > 0 ? `it may; ${absence(absent)}, and timers work without` : 'it may'
    return fine(NAME, { expected, found })
  }
  const missing = missingRights(refused, granted)
  const lacks = missing.length > 0 ? [`it lacks ${missing.join(' ')}`] : []
  const remedies = missing.length > 0 ? [redisCli(`ACL SETUSER ${user} ${missing.join(' ')}`)] : []
  if (absent.some((command) => !DISPENSABLE.includes(command))) remedies.push(byHand(UNRENAMED))
  const found = [...lacks, ...(absent.length > 0 ? [absence(absent)] : [])].join('; ')
  return wrong(NAME, { expected, found }, ...remedies)
}

/** @param commands that this Redis does not know */
function absence(commands: readonly string[]): string {
  const names = commands.map((command) => command.replace('|', ' ').toUpperCase())
  const effect = commands.includes('scan') ? ', so keys that other services set are not found before they expire' : ''
  return `${names.join(', ')} ${names.length === 1 ? 'does' : 'do'} not exist here (renamed?)${effect}`
}

/** A command that is refused everywhere is missing itself. A pattern is missing if everything on it is refused, or a command that is allowed elsewhere. */
export function missingRights(refused: readonly Question[], granted: readonly Question[]): string[] {
  const missing = new Set<string>()
  for (const { command, about } of refused) {
    const commandIsRefused = !granted.some((one) => one.command === command)
    const placeIsRefused = about !== '' && !granted.some((one) => one.about === about)
    if (placeIsRefused || !commandIsRefused) missing.add(about)
    if (commandIsRefused && (!placeIsRefused || refusedElsewhere(command, about, refused))) missing.add(`+${command}`)
  }
  missing.delete('')
  return [...missing].sort((one, other) => order(one) - order(other))
}

/** Also with another key, to see that the key is not the reason. */
function refusedElsewhere(command: string, about: string, refused: readonly Question[]): boolean {
  return refused.some((one) => one.command === command && one.about !== about)
}

function order(right: string): number {
  return '~&+'.indexOf(right.charAt(0))
}

function questionsOf(subject: Subject): Question[] {
  const { runtime, role } = subject
  const { keys } = runtime
  const pattern = (beginning: string) => `~${escapedGlob(beginning)}*`
  const ours = pattern(`${keys.prefix}order-timers:`)
  const { string, set, hash, zset } = keys.writeProbe()
  const commands = commandsOf(role, keys.inCluster)
  const onOurs = commands.flatMap((command): Question[] => {
    const args = ARGUMENTS[command]?.({ string, set, hash, zset })
    return args ? [{ command, args, about: ours }] : []
  })
  const onTimers = placeOf(subject).kinds.flatMap((kind) => {
    const key = keys.timer(kind, '0')
    const about = pattern(keys.timersOf(kind))
    const calls: [string, string[]][] = [
      ['set', [key, '1']],
      ['unlink', [key]],
      ['exists', [key]],
      ['pttl', [key]],
    ]
    return calls.map(([command, args]) => ({ command, args, about }))
  })
  const onChannels = channelsOf(role, placeOf(subject)).flatMap(({ name, listens, speaks, isOptional }): Question[] => {
    if (isOptional) return []
    const about = `&${escapedGlob(name)}`
    return [
      ...(speaks ? [{ command: 'publish', args: [name, ''], about }] : []),
      ...(listens ? [{ command: 'subscribe', args: [name], about }] : []),
    ]
  })
  const nowhere = commands
    .filter((command) => NOWHERE[command])
    .map((command) => ({ command, args: NOWHERE[command] as string[], about: '' }))
  return [...onOurs, ...onTimers, ...onChannels, ...nowhere]
}

function placeOf({ runtime, redis, rules }: Subject) {
  const reminders = rules.flatMap(({ kind, row }) => (row?.options.reminders ?? []).map(({ label }) => reminderKind(kind, label)))
  const { prefix, inCluster } = runtime.keys
  return { prefix, db: redis?.source.db ?? 0, kinds: [...runtime.kinds, ...reminders], inCluster }
}

/** Valid arguments for the commands without a key. Unimportant ones, such as the connection's name, are not checked. */
const NOWHERE: Record<string, string[]> = {
  time: [],
  evalsha: ['0', '0'],
  eval: ['', '0'],
  'script|load': [''],
  ping: [],
  info: [],
  scan: ['0'],
  'cluster|slots': [],
  'cluster|info': [],
  asking: [],
  readonly: [],
  readwrite: [],
}

type Names = Record<'string' | 'set' | 'hash' | 'zset', string>

/** Valid arguments for each command that takes keys. */
const ARGUMENTS: Record<string, (names: Names) => string[]> = {
  exists: ({ string }) => [string],
  get: ({ string }) => [string],
  set: ({ string }) => [string, '1'],
  unlink: ({ string }) => [string],
  pttl: ({ string }) => [string],
  pexpire: ({ string }) => [string, '1'],
  hget: ({ hash }) => [hash, '1'],
  hmget: ({ hash }) => [hash, '1'],
  hset: ({ hash }) => [hash, '1', '1'],
  hsetnx: ({ hash }) => [hash, '1', '1'],
  hdel: ({ hash }) => [hash, '1'],
  hlen: ({ hash }) => [hash],
  hgetall: ({ hash }) => [hash],
  hincrby: ({ hash }) => [hash, '1', '1'],
  sadd: ({ set }) => [set, '1'],
  srem: ({ set }) => [set, '1'],
  smembers: ({ set }) => [set],
  smismember: ({ set }) => [set, '1'],
  sinterstore: ({ set, string }) => [string, set],
  zadd: ({ zset }) => [zset, '1', '1'],
  zrem: ({ zset }) => [zset, '1'],
  zcard: ({ zset }) => [zset],
  zcount: ({ zset }) => [zset, '0', '1'],
  zpopmin: ({ zset }) => [zset],
  zrange: ({ zset }) => [zset, '0', '1'],
  zrangebyscore: ({ zset }) => [zset, '0', '1'],
  zscore: ({ zset }) => [zset, '1'],
  zmscore: ({ zset }) => [zset, '1'],
}

/** The whole line, as in docs/redis.md. */
function fullLine(user: string, subject: Subject): string {
  return `ACL SETUSER ${user} ${aclRules(subject.role, placeOf(subject))}`
}
