-- Which of the keys that got a TTL a moment ago are external.
--
-- KEYS    none
-- ARGV    keys    as JSON
--         soonMs  how soon is soon
--         lock    the scan's, whose expiry is read to see whether this user may
--         then keyPrefix, due, keyPrefix, due, …, as shared/external.lua says
-- Output  '0', then key, milliseconds to its expiry, key, milliseconds, …: as the last step of a scan
--- include shared/external.lua
--- include shared/named.lua
--- include shared/values-from.lua

local answer, keys, soonMs, lock, kinds = { '0' }, cjson.decode(ARGV[1]), tonumber(ARGV[2]), ARGV[3], valuesFrom(ARGV, 4)
local ok, refused = pcall(named, 'PTTL', lock)
if not ok then return redis.error_reply(refused) end
for _, key in ipairs(keys) do addExternal(answer, key, soonMs, kinds) end
return answer
