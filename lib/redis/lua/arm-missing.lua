-- Adds timers that the sweep found to the index: only those that are missing or have a later deadline there, and that neither wait
-- for another attempt nor are dead letters.
--
-- KEYS    due, failures
-- ARGV    wakeChannel
--         keyPrefix    as shared/set-key.lua says
--         ids          as JSON
--         deadlines    as JSON, in the order of the ids
-- Output  the indexes of the ids that were armed, as a list
local due, failures = KEYS[1], KEYS[2]
local wakeChannel, keyPrefix, ids, deadlines = ARGV[1], ARGV[2], cjson.decode(ARGV[3]), cjson.decode(ARGV[4])
--- include shared/wake-if-earlier.lua
--- include shared/held-by-failure.lua
--- include shared/before-adding.lua
--- include shared/set-key.lua

local head = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')
local anyFailed = redis.call('HLEN', failures) > 0
local armed, earliest = {}, nil
for i, id in ipairs(ids) do
  local deadline = deadlines[i]
  local score = redis.call('ZSCORE', due, id)
  local isMissing = not score or tonumber(score) > deadline
  if isMissing and not (anyFailed and isHeldByFailure(id)) then
    if #armed == 0 and not head[2] then beforeAdding() end
    redis.call('ZADD', due, deadline, id)
    setKey(id, deadline)
    armed[#armed + 1] = i
    if not earliest or deadline < earliest then earliest = deadline end
  end
end
if earliest then wakeIfEarlier(head, earliest) end
return armed
