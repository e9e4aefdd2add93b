-- When a timer's key expires, by the clock of the node that has it.
--
-- KEYS    key
-- ARGV    none
-- Output  milliseconds, as text; '' if there is no such key, or none that expires
local key = KEYS[1]
--- include shared/now.lua

local left = redis.call('PTTL', key)
return left < 0 and '' or string.format('%.0f', now + left)
