-- Takes the oldest timers that are due under a lease, and removes their keys. Expired leases go back into the index first.
--
-- In a burst (more due timers than one claim takes) their keys are removed as well, before Redis finds them and publishes the
-- expiry of each to every worker. That starts with the latest while claims take the oldest, so one number says how many keys are removed.
-- If that number is wrong, some keys expire with an event, which is harmless.
--
-- KEYS    due, leases
--         lease          the set that will hold this claim's ids
--         tombstones     the prefix of the tombstones' names
--         keysRemoved    how many of the latest timers have had their keys removed
-- ARGV    leasePrefix    the prefix of the leases' names
--         token, leaseMs, limit
--         skewMs         is added to Redis's clock
--         keyPrefix      the prefix of the timers' keys; '' in a cluster, where the caller removes them, and those of a burst expire
--         validUntil     by Redis's clock; a claim that arrives later takes nothing
--         burstWithinMs  a burst is due within this many milliseconds
--         burstDueForMs  and has not been due for longer than this; the keys of older timers have expired
--         burstKeys      the maximum number of keys to remove
--         knownEpoch     the newest epoch that the worker has seen
--         restoringMs    how long only one worker restores lost data
--         isSwept        '' for a rule that no sweep covers: see shared/tombstones.lua
-- Output  now            by Redis's clock, as text
--         next           the index's next deadline; '' if it is empty
--         burstLeft      1 where keys of a burst are left to remove, else 0
--         claimed        as JSON: id, deadline, id, deadline, … (one long text is parsed faster than thousands of short ones)
--         leaseEnds      when the first lease of another claim ends, by Redis's clock; '' if there is none
--         epoch          '' if data is lost, see shared/state.lua
--         restores       1 if this worker must restore the lost data, else 0
local due, leases, lease, tombstones, keysRemovedKey = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local leasePrefix, token, leaseMs, limit, skewMs = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local keyPrefix, validUntil = ARGV[6], tonumber(ARGV[7])
local burstWithinMs, burstDueForMs, burstKeys = ARGV[8], ARGV[9], ARGV[10]
local knownEpoch, restoringMs, isSwept = tonumber(ARGV[11]), ARGV[12], ARGV[13] ~= ''
--- include shared/now.lua
--- include shared/tombstones.lua
--- include shared/in-portions.lua
--- include shared/remove-keys.lua
--- include shared/state.lua
--- include shared/epoch.lua
--- include shared/after-removing.lua
--- include shared/release.lua

local answer = { string.format('%.3f', now), '', 0, '[]', '', '', 0 }
if now > validUntil then return answer end

answer[6] = epochOf(state, redis.call('EXISTS', due) == 0, knownEpoch)
if answer[6] == '' then
  local turn = redis.pcall('SET', state .. ':restored-by', token, 'NX', 'PX', restoringMs)
  if turn and turn.ok then answer[7] = 1 end
end

for sort in pairs(tombstoneTurnMs) do tombstoneSets(tombstones, sort) end -- drops old tombstones even if nothing is settled any more

local dueUntil = now + skewMs
for _, expired in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, 16)) do
  releaseLease(expired, leasePrefix .. expired, dueUntil)
end
answer[5] = redis.call('ZRANGE', leases, 0, 0, 'WITHSCORES')[2] or ''

local burst = redis.call('ZCOUNT', due, '-inf', dueUntil + burstWithinMs)
local keysRemoved = tonumber(redis.call('GET', keysRemovedKey) or 0)
local count = math.min(limit, redis.call('ZCOUNT', due, '-inf', dueUntil))
if count > 0 then
  local popped = redis.call('ZPOPMIN', due, count)
  afterRemoving()
  local ids = {}
  for i = 1, #popped, 2 do ids[#ids + 1] = popped[i] end
  answer[4] = cjson.encode(popped)
  callInPortions('SADD', lease, ids)
  redis.call('SET', lease .. ':deadlines', answer[4])
  redis.call('ZADD', leases, now + leaseMs, token)
  if not isSwept then callInPortions('SADD', (tombstoneSets(tombstones, 'recent')), ids) end
  if keyPrefix ~= '' and keysRemoved < burst then
    local names = {}
    for i, id in ipairs(ids) do names[i] = keyPrefix .. id end
    removeKeys(names, popped[2])
  end
  burst = burst - count
end

if keyPrefix ~= '' and burst > limit then
  local expired = redis.call('ZCOUNT', due, '-inf', dueUntil - burstDueForMs)
  local last = burst - math.min(burst, keysRemoved) - 1
  local first = math.max(expired, last + 1 - burstKeys)
  if first <= last then
    local entries = redis.call('ZRANGE', due, first, last, 'WITHSCORES')
    local names = {}
    for i = 1, #entries, 2 do names[#names + 1] = keyPrefix .. entries[i] end
    removeKeys(names, entries[2])
  end
  redis.call('SET', keysRemovedKey, burst - math.min(first, last + 1), 'PX', 1000)
  if first > expired then answer[3] = 1 end
end

answer[2] = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')[2] or ''
return answer
