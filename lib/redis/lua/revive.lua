-- Puts a dead letter back, due now, and forgets its attempts.
--
-- KEYS    due, failures
-- ARGV    id, wakeChannel
-- Output  1 where there was one, else 0
local due, failures = KEYS[1], KEYS[2]
local id, wakeChannel = ARGV[1], ARGV[2]
--- include shared/now.lua
--- include shared/before-adding.lua

local failure = redis.call('HGET', failures, id)
if not failure or not string.find(failure, '"dead":true', 1, true) then return 0 end
redis.call('HDEL', failures, id)
beforeAdding()
redis.call('ZADD', due, 'LT', now, id)
redis.pcall('PUBLISH', wakeChannel, '1')
return 1
