// The Lua scripts of the due index. Each begins with what goes in, what comes out, and what it means. Ids pass through as text and are
// never read as numbers. Times are milliseconds; Redis's own clock is asked within the script.

/** Milliseconds by Redis's clock, with fractions. */
const NOW = `
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000`

/**
 * Tombstones of timers that were removed a moment ago. Two sets alternate, so that old tombstones are dropped as a whole: each lives for one
 * to two turns. `settled`: an expiry event may still be on its way and must not be taken for an external key, and a sweep may have read the
 * row before. `cancelled`, or no longer in `from`: for events alone, since calls about one order may reach Redis in another order than
 * Postgres, and then only the sweep knows that it is due again. `external`, whatever became of external keys: shorter than the shortest
 * SETEX, since the key may be set again at once. A clock that was set back ends all tombstones.
 */
const TOMBSTONES = `
local turnMs = { settled = 5000, cancelled = 5000, external = 450 }
local stored = { settled = ':ours', cancelled = ':gone', external = ':theirs' }
local function tombstones(prefix, sort)
  local name = prefix .. stored[sort]
  local turn = math.floor(now / turnMs[sort])
  local last = tonumber(redis.call('GET', name) or 0)
  local new, old = name .. ':' .. turn % 2, name .. ':' .. (turn + 1) % 2
  if turn ~= last then
    redis.call('UNLINK', new)
    if turn ~= last + 1 then redis.call('UNLINK', old) end
    redis.call('SET', name, string.format('%.0f', turn))
  end
  return new, old
end`

/** ZADD, ZREM and the like in portions that Lua's stack can hold. Arguments: command, key, values. */
const EACH = `
local function each(command, key, values)
  for first = 1, #values, 4000 do
    redis.call(command, key, unpack(values, first, math.min(first + 3999, #values)))
  end
end`

/** The ids that a set has not, and those that it has. The command is that of its type: ZMSCORE, SMISMEMBER. */
const WITHOUT = `
local function without(command, set, ids)
  if redis.call('EXISTS', set) == 0 then return ids, {} end
  local absent, present = {}, {}
  for first = 1, #ids, 4000 do
    for i, found in ipairs(redis.call(command, set, unpack(ids, first, math.min(first + 3999, #ids)))) do
      local list = found and found ~= 0 and present or absent
      list[#list + 1] = ids[first + i - 1]
    end
  end
  return absent, present
end`

/** Whether a failed timer is to be left alone: it waits in the index for another attempt, or is a dead letter. */
const HELD_BY_FAILURE = `
local function held(failures, due, id)
  local failure = redis.call('HGET', failures, id)
  return failure and (string.find(failure, '"dead":true', 1, true) or redis.call('ZSCORE', due, id))
end`

/**
 * Removes timers' keys without a word to their workers. Those whose time has passed take a call for each: `UNLINK` would publish `expired`
 * first, to every worker; to store an empty set publishes `del` at most (seen on 7.0.15). Arguments: the keys, when the first of them
 * expires, the name of a set that never exists.
 */
const DROP = `
local function drop(keys, expiry, nothing)
  if tonumber(expiry) <= now then
    for _, key in ipairs(keys) do redis.call('SINTERSTORE', key, nothing) end
  else
    for first = 1, #keys, 4000 do redis.call('UNLINK', unpack(keys, first, math.min(first + 3999, #keys))) end
  end
end`

/**
 * What is known of the index apart from it, a hash: `armed`, that it is not empty, and `epoch`, a number that only grows. Data that is lost
 * shows in that an index that should not be empty is, or in that the epoch is missing or older than a worker has seen. Where an index that
 * was lost would be begun again, the epoch goes, so that the next claim knows. KEYS: due.
 */
const STATE = `
local state = KEYS[1] .. ':state'
local function vanished()
  return redis.call('HGET', state, 'armed') == '1' and redis.call('EXISTS', KEYS[1]) == 0
end
local function grows()
  if redis.call('EXISTS', KEYS[1]) == 1 then return end
  if redis.call('HGET', state, 'armed') == '1' then redis.call('HDEL', state, 'epoch') end
  redis.call('HSET', state, 'armed', '1')
end
local function shrinks()
  if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('HDEL', state, 'armed') end
end`

/**
 * A claim's lease is the set of its ids, and beside it the deadlines as JSON (id, deadline, id, deadline, …), where it had them from the
 * index; others are due at the moment at which it is given back. Needs STATE. KEYS: due, leases. Arguments: the token, the lease's name, that moment.
 */
const RELEASE = `
local function release(token, lease, at)
  redis.call('ZREM', KEYS[2], token)
  local deadlines = {}
  local known = cjson.decode(redis.call('GET', lease .. ':deadlines') or '[]')
  for i = 1, #known, 2 do deadlines[known[i]] = known[i + 1] end
  local ids = redis.call('SMEMBERS', lease)
  if #ids > 0 then grows() end
  for _, id in ipairs(ids) do redis.call('ZADD', KEYS[1], 'LT', deadlines[id] or at, id) end
  redis.call('UNLINK', lease, lease .. ':deadlines')
end`

/** Puts a wake on the channel where the index got an earlier head than it had. A user who may not publish arms all the same. */
const WAKE = `
local function wake(head, deadline)
  if not head[2] or tonumber(deadline) < tonumber(head[2]) then redis.pcall('PUBLISH', channel, '1') end
end`

export const SCRIPTS = {
  /**
   * Timers into the index, then their keys. An explicit arming forgets earlier failures.
   * KEYS: due, failures. ARGV: wake channel, the beginning of the timers' keys, then deadline, id, deadline, id, …
   */
  orderTimersArm: {
    numberOfKeys: 2,
    lua: `
local channel = ARGV[1]
${WAKE}
${STATE}
local head = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if not head[2] then grows() end
local earliest = ARGV[3]
redis.call('ZADD', KEYS[1], unpack(ARGV, 3))
local failures = redis.call('EXISTS', KEYS[2]) == 1
for i = 3, #ARGV, 2 do
  local deadline, id = ARGV[i], ARGV[i + 1]
  redis.call('SET', ARGV[2] .. id, '1', 'PXAT', deadline)
  if failures then redis.call('HDEL', KEYS[2], id) end
  if tonumber(deadline) < tonumber(earliest) then earliest = deadline end
end
wake(head, earliest)`,
  },

  /**
   * Timers that the sweep found into the index: only those that are missing there or stand too late, and that neither wait for
   * another attempt nor are dead letters.
   * KEYS: due, failures. ARGV: wake channel, the beginning of the timers' keys, and as JSON the ids and their deadlines.
   * Returns how many were armed.
   */
  orderTimersArmMissing: {
    numberOfKeys: 2,
    lua: `
local channel = ARGV[1]
${WAKE}
${HELD_BY_FAILURE}
${STATE}
local head = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
local failures = redis.call('HLEN', KEYS[2]) > 0
local armed, earliest = 0, nil
local deadlines = cjson.decode(ARGV[4])
for i, id in ipairs(cjson.decode(ARGV[3])) do
  local deadline = deadlines[i]
  local score = redis.call('ZSCORE', KEYS[1], id)
  local absent = not score or tonumber(score) > deadline
  if absent and not (failures and held(KEYS[2], KEYS[1], id)) then
    if armed == 0 and not head[2] then grows() end
    redis.call('ZADD', KEYS[1], deadline, id)
    redis.call('SET', ARGV[2] .. id, '1', 'PXAT', deadline)
    armed = armed + 1
    if not earliest or deadline < earliest then earliest = deadline end
  end
end
if earliest then wake(head, earliest) end
return armed`,
  },

  /**
   * Takes a timer out, unless it was armed anew for another deadline meanwhile.
   * KEYS: due, failures, tombstones, the timer's key. ARGV: id, the deadline it must have (or '').
   * Returns 1 where there was one.
   */
  orderTimersDisarm: {
    numberOfKeys: 4,
    lua: `
${NOW}
${TOMBSTONES}
${STATE}
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if score and ARGV[2] ~= '' and tonumber(score) ~= tonumber(ARGV[2]) then return 0 end
redis.call('SADD', (tombstones(KEYS[3], 'cancelled')), ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
local removed = redis.call('ZREM', KEYS[1], ARGV[1])
if removed == 1 then shrinks() end
local unlinked = redis.call('UNLINK', KEYS[4])
return math.max(removed, unlinked)`,
  },

  /**
   * Moves a deadline that Redis alone knows.
   * KEYS: due, the timer's key. ARGV: id, milliseconds to add.
   * Returns the new deadline, or nothing where there is no timer.
   */
  orderTimersPostpone: {
    numberOfKeys: 2,
    lua: `
${NOW}
${STATE}
local deadline = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not deadline then
  local left = redis.call('PTTL', KEYS[2])
  if left < 0 then return false end
  deadline = now + left
end
deadline = string.format('%.0f', deadline + ARGV[2])
grows()
redis.call('ZADD', KEYS[1], deadline, ARGV[1])
redis.call('SET', KEYS[2], '1', 'PXAT', deadline)
return deadline`,
  },

  /**
   * Takes the oldest timers that are due under a lease of the claim's own, and removes their keys. Lapsed leases go back first.
   * Where a burst is due or will be in a moment, more than another claim could take, their keys are removed as well, before Redis comes
   * across them and publishes the expiry of each to every worker, who know it by the index: from the latest on, while claims take the
   * oldest, so that what is done already is known by its number alone. Where that is wrong some keys expire with an event, which says
   * nothing new.
   * KEYS: due, leases, the claim's lease, tombstones, keysRemoved. ARGV: the beginning of the leases' names, token, lease ms, limit, what to
   * add to Redis's clock, the beginning of the timers' keys, until when the claim is valid (Redis's clock); of the burst: within how many
   * milliseconds it is due, for how many it has been due at most (the keys of others have expired), and how many keys are removed at most; the
   * newest epoch that the worker knows, and for how many milliseconds one worker alone is told that data is lost.
   * Returns now (Redis's clock), the next deadline in the index (or ''), whether keys of a burst are left (1 or 0), what was claimed as
   * JSON: id, deadline, id, deadline, … (one long answer is read in a fraction of the time of thousands of short ones), and when the first
   * lease of an earlier claim ends (Redis's clock; or ''); the epoch ('' where data is lost, see STATE), and whether this worker is to restore it.
   */
  orderTimersClaim: {
    numberOfKeys: 5,
    lua: `
${NOW}
${TOMBSTONES}
${EACH}
${DROP}
${STATE}
${RELEASE}
local answer = { string.format('%.3f', now), '', 0, '[]', '', '', 0 }
if now > tonumber(ARGV[7]) then return answer end
local epoch, known = tonumber(redis.call('HGET', state, 'epoch') or 0), tonumber(ARGV[11])
if epoch < known or vanished() then
  local turn = redis.pcall('SET', state .. ':restored-by', ARGV[2], 'NX', 'PX', ARGV[12])
  if turn and turn.ok then answer[7] = 1 end
else
  if now - epoch > 10000 then
    epoch = math.max(math.floor(now), epoch + 1)
    redis.pcall('HSET', state, 'epoch', string.format('%.0f', epoch))
  end
  answer[6] = string.format('%.0f', epoch)
end
for sort in pairs(turnMs) do tombstones(KEYS[4], sort) end -- old tombstones are dropped, also where nothing is claimed any more
local till = now + ARGV[5]
for _, token in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 16)) do release(token, ARGV[1] .. token, till) end
answer[5] = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2] or ''
local nothing = KEYS[2] .. ':none'
local limit = tonumber(ARGV[4])
local burst = redis.call('ZCOUNT', KEYS[1], '-inf', till + ARGV[8])
local keysRemoved = tonumber(redis.call('GET', KEYS[5]) or 0)
local count = math.min(limit, redis.call('ZCOUNT', KEYS[1], '-inf', till))
if count > 0 then
  local popped = redis.call('ZPOPMIN', KEYS[1], count)
  shrinks()
  local ids = {}
  for i = 1, #popped, 2 do ids[#ids + 1] = popped[i] end
  answer[4] = cjson.encode(popped)
  each('SADD', KEYS[3], ids)
  redis.call('SET', KEYS[3] .. ':deadlines', answer[4])
  redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[2])
  if keysRemoved < burst then
    local keys = {}
    for i, id in ipairs(ids) do keys[i] = ARGV[6] .. id end
    drop(keys, popped[2], nothing)
  end
  burst = burst - count
end
if burst > limit then
  local expired = redis.call('ZCOUNT', KEYS[1], '-inf', till - ARGV[9])
  local last = burst - math.min(burst, keysRemoved) - 1
  local first = math.max(expired, last + 1 - ARGV[10])
  if first <= last then
    local entries = redis.call('ZRANGE', KEYS[1], first, last, 'WITHSCORES')
    local keys = {}
    for i = 1, #entries, 2 do keys[#keys + 1] = ARGV[6] .. entries[i] end
    drop(keys, entries[2], nothing)
  end
  redis.call('SET', KEYS[5], burst - math.min(first, last + 1), 'PX', 1000)
  if first > expired then answer[3] = 1 end
end
answer[2] = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2] or ''
return answer`,
  },

  /**
   * Takes the given ids under a lease: those that the sweep found overdue, or whose key somebody else had set and that expired.
   * Left out: what a live claim holds, what was forgotten a moment ago (see TOMBSTONES), and what waits for another attempt or is a dead letter; for an event also what the index has (its alarm is coming), and a
   * key that is alive again.
   * KEYS: due, leases, the claim's lease, tombstones, failures. ARGV: the beginning of the leases' names, token, lease ms, 'sweep' or
   * 'event', the beginning of the timers' keys, and the ids as JSON.
   * Returns the ids taken, as JSON.
   */
  orderTimersTake: {
    numberOfKeys: 5,
    lua: `
${NOW}
${TOMBSTONES}
${EACH}
${WITHOUT}
${HELD_BY_FAILURE}
${DROP}
${STATE}
redis.call('UNLINK', KEYS[3]) -- a Redis whose memory is full lets a script write once it has written without need of memory
local event = ARGV[4] == 'event'
local ids = cjson.decode(ARGV[6])
if event then ids = without('ZMSCORE', KEYS[1], ids) end
for _, sort in ipairs(event and { 'settled', 'cancelled', 'external' } or { 'settled', 'external' }) do
  for _, set in ipairs({ tombstones(KEYS[4], sort) }) do ids = without('SMISMEMBER', set, ids) end
end
for _, token in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], now, '+inf')) do ids = without('SMISMEMBER', ARGV[1] .. token, ids) end
local taken = ids
local failures = redis.call('HLEN', KEYS[5]) > 0
if event or failures then
  taken = {}
  for _, id in ipairs(ids) do
    local free = not event or redis.call('EXISTS', ARGV[5] .. id) == 0
    if free and not (failures and held(KEYS[5], KEYS[1], id)) then taken[#taken + 1] = id end
  end
end
if #taken > 0 then
  each('SADD', KEYS[3], taken)
  redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[2])
  local _, armed = without('ZMSCORE', KEYS[1], taken)
  each('ZREM', KEYS[1], armed)
  if #armed > 0 then shrinks() end
  for i, id in ipairs(armed) do armed[i] = ARGV[5] .. id end
  drop(armed, 0, KEYS[2] .. ':none')
end
return #taken > 0 and cjson.encode(taken) or '[]'`,
  },

  /**
   * Ends a claim: what is to come back goes to the index, what is let go leaves no trace, so that the next sweep may look at it, and the
   * rest of the lease is forgotten and leaves a mark (see TOMBSTONES). Where the lease had lapsed and was taken by another claim, only what is to
   * come back is written; nothing at all where this is said again, since it may have been carried out before.
   * KEYS: due, leases, the claim's lease, tombstones, failures. ARGV: token, the tombstones to leave ('settled' or 'external'), what to add to
   * Redis's clock, until when this is valid (Redis's clock), 'again' where it was said before (or ''), what is gone as JSON (or ''), then in
   * threes: id, milliseconds from now ('' for a dead letter and for what is let go), and the failure to keep as JSON (or '').
   * Returns 1 where the lease was still ours, 0 where it was not; Redis's clock as text where this came too late.
   */
  orderTimersFinish: {
    numberOfKeys: 5,
    lua: `
${NOW}
${TOMBSTONES}
${EACH}
${STATE}
if now > tonumber(ARGV[4]) then return string.format('%.3f', now) end
local ours = redis.call('ZREM', KEYS[2], ARGV[1]) -- first, since it needs no memory: see orderTimersTake
if ours == 0 and ARGV[5] == 'again' then return 0 end
for i = 7, #ARGV, 3 do
  local id, delay, failure = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  redis.call('SREM', KEYS[3], id)
  if delay ~= '' then
    local at = string.format('%.0f', math.ceil(now + ARGV[3] + delay))
    grows()
    if failure ~= '' then redis.call('ZADD', KEYS[1], at, id) else redis.call('ZADD', KEYS[1], 'LT', at, id) end
  end
  if failure ~= '' then redis.call('HSET', KEYS[5], id, failure) elseif delay == '' and ours == 1 then redis.call('HDEL', KEYS[5], id) end
end
local function forget(ids, sort)
  each('SADD', (tombstones(KEYS[4], sort)), ids)
  if #ids > 0 and redis.call('HLEN', KEYS[5]) > 0 then each('HDEL', KEYS[5], ids) end
end
if ours == 1 and ARGV[6] ~= '' then
  local gone = cjson.decode(ARGV[6])
  each('SREM', KEYS[3], gone)
  forget(gone, ARGV[2] == 'settled' and 'cancelled' or ARGV[2])
end
forget(redis.call('SMEMBERS', KEYS[3]), ARGV[2])
redis.call('UNLINK', KEYS[3], KEYS[3] .. ':deadlines')
return ours`,
  },

  /**
   * Gives a claim back whole.
   * KEYS: due, leases, the claim's lease. ARGV: token, what to add to Redis's clock.
   */
  orderTimersRelease: {
    numberOfKeys: 3,
    lua: `
${NOW}
${STATE}
${RELEASE}
release(ARGV[1], KEYS[3], now + ARGV[2])`,
  },

  /**
   * Puts a dead letter back, due now, with its attempts forgotten.
   * KEYS: due, failures. ARGV: id, wake channel. Returns 1 where there was one.
   */
  orderTimersRevive: {
    numberOfKeys: 2,
    lua: `
${NOW}
${STATE}
local failure = redis.call('HGET', KEYS[2], ARGV[1])
if not failure or not string.find(failure, '"dead":true', 1, true) then return 0 end
redis.call('HDEL', KEYS[2], ARGV[1])
grows()
redis.call('ZADD', KEYS[1], 'LT', now, ARGV[1])
redis.pcall('PUBLISH', ARGV[2], '1')
return 1`,
  },

  /**
   * Keeps a claim while its work goes on. A lease that has lapsed is not renewed, because a sweep may have taken its orders by now.
   * KEYS: leases. ARGV: token, lease ms. Returns 1 where the lease was still ours.
   */
  orderTimersKeep: {
    numberOfKeys: 1,
    lua: `
${NOW}
local ends = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not ends or tonumber(ends) <= now then return 0 end
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
return 1`,
  },

  /**
   * What was lost is armed again: from now on the index is taken for whole.
   * KEYS: due. ARGV: the newest epoch that the worker knows. Returns the new epoch.
   */
  orderTimersRestored: {
    numberOfKeys: 1,
    lua: `
${NOW}
${STATE}
local epoch = string.format('%.0f', math.max(math.floor(now), ARGV[1] + 1))
redis.call('HSET', state, 'epoch', epoch)
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', state, 'armed', '1') else redis.call('HDEL', state, 'armed') end
redis.call('UNLINK', state .. ':restored-by')
return epoch`,
  },

  /**
   * Writes with each command that the other scripts write with, first with one that takes memory, and leaves nothing behind.
   * KEYS: four of a string, a set, a sorted set and a hash, and one that never exists.
   */
  orderTimersProbe: {
    numberOfKeys: 5,
    lua: `
local refused
local function try(...)
  local answer = redis.pcall(...)
  if type(answer) == 'table' and answer.err and not refused then refused = answer end
end
try('SET', KEYS[1], '1', 'PX', 1000)
try('SADD', KEYS[2], '1', '2')
try('SREM', KEYS[2], '1')
try('ZADD', KEYS[3], 1, '1', 2, '2')
try('ZREM', KEYS[3], '1')
try('ZPOPMIN', KEYS[3])
try('HSET', KEYS[4], '1', '1', '2', '2')
try('HDEL', KEYS[4], '1')
try('SINTERSTORE', KEYS[1], KEYS[5])
try('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
return refused or 1`,
  },

  /**
   * One step of a scan for keys that somebody else has set: of our kinds, due soon, and not in the index. A key's time is asked first,
   * since Redis has just looked at it; the index is asked for those few that are due soon.
   * KEYS: none. ARGV: cursor, how many keys to look at, how soon is soon (milliseconds), then in pairs: the beginning of a kind's keys,
   * its due index.
   * Returns the next cursor, then key, milliseconds to its expiry, …
   */
  orderTimersScan: {
    numberOfKeys: 0,
    lua: `
local step = redis.call('SCAN', ARGV[1], 'COUNT', ARGV[2])
local answer = { step[1] }
local soon = tonumber(ARGV[3])
for _, key in ipairs(step[2]) do
  for i = 4, #ARGV, 2 do
    local first = ARGV[i]
    if string.sub(key, 1, #first) == first then
      local left = redis.call('PTTL', key)
      if left >= 0 and left <= soon and #key < 600 and not redis.call('ZSCORE', ARGV[i + 1], string.sub(key, #first + 1)) then
        answer[#answer + 1] = key
        answer[#answer + 1] = left
      end
      break
    end
  end
end
return answer`,
  },
} as const
