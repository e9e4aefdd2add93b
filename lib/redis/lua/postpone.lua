-- Moves a deadline that only Redis knows.
--
-- KEYS    due
--         key    the timer's key
-- ARGV    id
--         byMs   milliseconds to add
-- Output  the new deadline as text; nil where there is no timer
local due, key = KEYS[1], KEYS[2]
local id, byMs = ARGV[1], ARGV[2]
--- include shared/now.lua
--- include shared/before-adding.lua

local deadline = redis.call('ZSCORE', due, id)
if not deadline then
  local left = redis.call('PTTL', key)
  if left < 0 then return false end
  deadline = now + left
end
deadline = string.format('%.0f', deadline + byMs)
beforeAdding()
redis.call('ZADD', due, deadline, id)
redis.call('SET', key, '1', 'PXAT', deadline)
return deadline
