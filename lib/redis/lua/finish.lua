-- Ends a claim. Ids that come back go into the index; released ids leave no trace, so that the next sweep may take them; the rest of the
-- lease is dropped and leaves tombstones. If the lease is gone, only what comes back is written, unless another claim has taken it or
-- settled it a moment ago; on a retry not even that, since the first attempt may have been carried out.
--
-- KEYS    due, leases
--         lease        the set that holds this claim's ids
--         tombstones   the prefix of the tombstones' names
--         failures
-- ARGV    token
--         sortOfRest   the kind of tombstones for the rest of the lease, 'settled' or 'external'; '' for none
--         skewMs       is added to Redis's clock
--         validUntil   by Redis's clock
--         isRetry      'retry', or ''
--         gone         ids as JSON to which the rule no longer applies; '' for none
--         then id, delayMs, failure, id, delayMs, failure, …: milliseconds from now ('' for a dead letter and for what is let go;
--         'lapsed' for the old deadline, and for nothing if another claim took it), and the failure to keep as JSON ('' for none); that of
--         a dead letter may be followed by a line break and the error's stack
-- Output  1 where the lease was still held, 0 where it was not; Redis's clock as text where this came too late
local due, leases, lease, tombstones, failures = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local token, sortOfRest, skewMs, validUntil, isRetry, gone = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5] == 'retry', ARGV[6]
--- include shared/now.lua
--- include shared/tombstones.lua
--- include shared/in-portions.lua
--- include shared/partition.lua
--- include shared/before-adding.lua
--- include shared/note-dead.lua
--- include shared/deadlines-of.lua

if now > validUntil then return string.format('%.3f', now) end
local wasHeld = redis.call('ZREM', leases, token) -- first, since it needs no memory: see take.lua
if wasHeld == 0 and isRetry then return 0 end

local elsewhere = {}
if wasHeld == 0 then
  local ids, sets = {}, { tombstoneSets(tombstones, 'settled') }
  for i = 7, #ARGV, 3 do ids[#ids + 1] = ARGV[i] end
  local leasePrefix = string.sub(lease, 1, #lease - #token)
  for _, live in ipairs(redis.call('ZRANGEBYSCORE', leases, now, '+inf')) do sets[#sets + 1] = leasePrefix .. live end
  for _, set in ipairs(sets) do
    local _, found = partition('SMISMEMBER', set, ids)
    for _, id in ipairs(found) do elsewhere[id] = true end
  end
end

local deadlines
for i = 7, #ARGV, 3 do
  local id, delayMs, failure = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if elsewhere[id] then delayMs, failure = '', '' end
  redis.call('SREM', lease, id)
  local isLapsed = delayMs == 'lapsed'
  if isLapsed and wasHeld == 1 then deadlines = deadlines or deadlinesOf(lease) end
  if delayMs ~= '' and (wasHeld == 1 or not isLapsed) then
    local dueAt = isLapsed and deadlines[id] or string.format('%.0f', math.ceil(now + skewMs + (isLapsed and 0 or delayMs)))
    beforeAdding()
    if failure ~= '' then redis.call('ZADD', due, dueAt, id) else redis.call('ZADD', due, 'LT', dueAt, id) end
  end
  if failure ~= '' then
    local json, stack = failure, ''
    local lineBreak = string.find(failure, '\n', 1, true)
    if lineBreak then json, stack = string.sub(failure, 1, lineBreak - 1), string.sub(failure, lineBreak + 1) end
    redis.call('HSET', failures, id, json)
    if string.find(json, '"dead":true', 1, true) then noteDead(id, stack) end
  elseif delayMs == '' and wasHeld == 1 then
    redis.call('HDEL', failures, id)
  end
end

local function forget(ids, sort)
  if sort ~= '' then callInPortions('SADD', (tombstoneSets(tombstones, sort)), ids) end
  if #ids > 0 and redis.call('HLEN', failures) > 0 then callInPortions('HDEL', failures, ids) end
end
if wasHeld == 1 and gone ~= '' then
  local ids = cjson.decode(gone)
  callInPortions('SREM', lease, ids)
  forget(ids, sortOfRest == 'settled' and 'cancelled' or sortOfRest)
end
forget(redis.call('SMEMBERS', lease), sortOfRest)
redis.call('UNLINK', lease, lease .. ':deadlines')
return wasHeld
