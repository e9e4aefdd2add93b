-- One step of a scan for external keys.
--
-- KEYS    none
-- ARGV    lock, worker, lockMs
--         cursor
--         count   how many keys to look at
--         soonMs  how soon is soon
--         then keyPrefix, due, keyPrefix, due, …: the beginning of a kind's keys, and its due index
-- Output  the next cursor, then key, milliseconds to its expiry, key, milliseconds, …; nothing if another worker has the lock
--- include shared/scan-step.lua
--- include shared/values-from.lua

local lock, worker, lockMs, cursor, count, soonMs = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])
local ok, found = pcall(scanStep, lock, worker, lockMs, cursor, count, soonMs, valuesFrom(ARGV, 7))
return ok and found or redis.error_reply(type(found) == 'table' and found.err or tostring(found))
