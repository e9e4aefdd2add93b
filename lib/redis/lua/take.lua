-- Takes the given ids under a lease: those that the sweep found overdue, or those whose external key expired. It skips ids that a live
-- claim holds, that have a tombstone, or that wait for another attempt, and dead letters; for an event also ids in the index (the alarm
-- will take them), ids with an existing key, and ids that were acted on since the event was received: each worker receives it, and one may
-- ask much later than another. A sweep's second look also takes what was settled a moment ago: its row was read since, so the order has
-- returned. Nothing but its event tells of an external key of a rule that no sweep covers. So if that was heard just now, the id is taken
-- although a claim holds it or it was settled: our own timer's key is removed by its claim, so this is one that was set since. A dead
-- letter ends with it, as by arming.
--
-- KEYS    due, leases
--         lease        the set that will hold this claim's ids
--         tombstones   the beginning of the tombstones' names
--         failures
-- ARGV    leasePrefix  the beginning of the leases' names
--         token, leaseMs
--         via          'sweep', 'second look', 'event', or 'only event' of a rule that no sweep covers
--         keyPrefix    the beginning of the timers' keys; '' in a cluster, where the caller reads them before and removes them after
--         ids          as JSON
--         ages         as JSON, for an event: how long ago the event of each id was heard, in milliseconds
-- Output  the ids that were taken, as JSON; how many were left out because they were settled a moment ago; and in a cluster those of the
--         taken that were in the index, as JSON
local due, leases, lease, tombstones, failures = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local leasePrefix, token, leaseMs, via, keyPrefix, ids = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], cjson.decode(ARGV[6])
local heardNowMs = 100 -- with the time that this may be on its way, as long as tombstones of the sort `recent` last
local isOnlyEvent = via == 'only event'
local isEvent = via == 'event' or isOnlyEvent
--- include shared/now.lua
--- include shared/tombstones.lua
--- include shared/in-portions.lua
--- include shared/partition.lua
--- include shared/held-by-failure.lua
--- include shared/forget-dead.lua
--- include shared/remove-keys.lua
--- include shared/after-removing.lua
--- include shared/followed.lua

redis.call('UNLINK', lease) -- first: a Redis whose memory is full lets a script write once it has written what needs no memory
local ageOf = isEvent and agesOf(ids, cjson.decode(ARGV[7]))
if isEvent then ids = partition('ZMSCORE', due, ids) end
local function leaveOut(sort)
  for _, set in ipairs({ tombstoneSets(tombstones, sort) }) do ids = partition('SMISMEMBER', set, ids) end
end
leaveOut('external')
local heardNow, wasHeardNow = {}, {}
if isOnlyEvent then
  leaveOut('recent')
  local heardBefore = {}
  for _, id in ipairs(ids) do
    wasHeardNow[id] = ageOf[id] <= heardNowMs
    local list = wasHeardNow[id] and heardNow or heardBefore
    list[#list + 1] = id
  end
  ids = heardBefore
end
if isEvent then leaveOut('cancelled') end
local asked = #ids
if via ~= 'second look' then leaveOut('settled') end
local settledBefore = asked - #ids
for _, live in ipairs(redis.call('ZRANGEBYSCORE', leases, now, '+inf')) do ids = partition('SMISMEMBER', leasePrefix .. live, ids) end
for _, id in ipairs(heardNow) do ids[#ids + 1] = id end

local taken = ids
local anyFailed = redis.call('HLEN', failures) > 0
if isEvent or anyFailed then
  taken = {}
  for _, id in ipairs(ids) do
    local isFree = not isEvent or not wasFollowed(id, ageOf[id]) and (keyPrefix == '' or redis.call('EXISTS', keyPrefix .. id) == 0)
    local isHeld = isFree and anyFailed and isHeldByFailure(id)
    if isHeld and wasHeardNow[id] then
      redis.call('HDEL', failures, id)
      forgetDead(id)
      isHeld = false
    end
    if isFree and not isHeld then taken[#taken + 1] = id end
  end
end
if #taken == 0 then return { '[]', settledBefore } end

callInPortions('SADD', lease, taken)
redis.call('ZADD', leases, now + leaseMs, token)
if isEvent then noteFollowed(taken) end
local _, armed = partition('ZMSCORE', due, taken)
callInPortions('ZREM', due, armed)
if #armed > 0 then afterRemoving() end
if keyPrefix == '' then return { cjson.encode(taken), settledBefore, #armed == 0 and '[]' or cjson.encode(armed) } end
for i, id in ipairs(armed) do armed[i] = keyPrefix .. id end
removeKeys(armed, 0)
return { cjson.encode(taken), settledBefore }
