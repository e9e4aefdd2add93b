-- Updates timers whose deadlines a run has changed. Moves those in the index, adds those that come due before the horizon, and removes
-- those without a deadline. Failures stay: a dead letter does not come back.
--
-- KEYS    due, failures
--         tombstones   the beginning of the tombstones' names
-- ARGV    wakeChannel
--         keyPrefix    as shared/set-key.lua says
--         horizonMs    from now
--         ids          as JSON
--         deadlines    as JSON, each at its id's place; null for none
-- Output  the places of those that were armed, as a list
local due, failures, tombstones = KEYS[1], KEYS[2], KEYS[3]
local wakeChannel, keyPrefix, ids, deadlines = ARGV[1], ARGV[2], cjson.decode(ARGV[4]), cjson.decode(ARGV[5])
--- include shared/now.lua
--- include shared/tombstones.lua
--- include shared/after-removing.lua
--- include shared/wake-if-earlier.lua
--- include shared/before-adding.lua
--- include shared/set-key.lua

local head = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')
local horizon = now + tonumber(ARGV[3])
local gone, earliest, armed = nil, nil, {}
for i, id in ipairs(ids) do
  local deadline = deadlines[i]
  local score = redis.call('ZSCORE', due, id)
  if type(deadline) ~= 'number' then -- null
    gone = gone or tombstoneSets(tombstones, 'cancelled')
    redis.call('SADD', gone, id)
    if score then redis.call('ZREM', due, id) end
    if keyPrefix ~= '' then redis.call('UNLINK', keyPrefix .. id) end
  elseif score or (deadline <= horizon and not redis.call('HGET', failures, id)) then
    beforeAdding()
    redis.call('ZADD', due, deadline, id)
    setKey(id, deadline)
    armed[#armed + 1] = i
    if not earliest or deadline < earliest then earliest = deadline end
  end
end
if gone then afterRemoving() end
if earliest then wakeIfEarlier(head, earliest) end
return armed
