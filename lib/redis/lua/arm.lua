-- Adds timers to the index, then sets their keys. An explicit arming forgets earlier failures. Each call runs it, so what is seldom
-- needed is defined where it is needed.
--
-- KEYS    due, failures
-- ARGV    wakeChannel
--         keyPrefix    as shared/set-key.lua says
--         then deadline, id, deadline, id, …
-- Output  none
local due, failures = KEYS[1], KEYS[2]
local wakeChannel, keyPrefix = ARGV[1], ARGV[2]
--- include shared/wake-if-earlier.lua
--- include shared/set-key.lua

local head = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')
if not head[2] then
  --- include shared/before-adding.lua
  beforeAdding()
end
local earliest = ARGV[3]
redis.call('ZADD', due, unpack(ARGV, 3))
local anyFailed = redis.call('EXISTS', failures) == 1
for i = 3, #ARGV, 2 do
  local deadline, id = ARGV[i], ARGV[i + 1]
  setKey(id, deadline)
  if anyFailed and redis.call('HDEL', failures, id) == 1 then
    --- include shared/forget-dead.lua
    forgetDead(id)
  end
  if tonumber(deadline) < tonumber(earliest) then earliest = deadline end
end
wakeIfEarlier(head, earliest)
