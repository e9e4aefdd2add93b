-- Which of the keys that got a TTL a moment ago are external.
--
-- KEYS    none
-- ARGV    keys    as JSON
--         soonMs  how soon is soon
--         then keyPrefix, due, keyPrefix, due, …, as shared/external.lua says
-- Output  '0', then key, milliseconds to its expiry, key, milliseconds, …: as the last step of a scan
--- include shared/external.lua

local answer, soonMs, kinds = { '0' }, tonumber(ARGV[2]), { unpack(ARGV, 3) }
for _, key in ipairs(cjson.decode(ARGV[1])) do addExternal(answer, key, soonMs, kinds) end
return answer
