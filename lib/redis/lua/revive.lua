-- Ends dead letters: puts them back, due now, with their attempts forgotten, or drops them.
--
-- KEYS    due, failures
-- ARGV    wakeChannel
--         how   'due' or 'dropped'
--         ids   as JSON
-- Output  the ids that were dead letters, as JSON
local due, failures = KEYS[1], KEYS[2]
local wakeChannel, putsBack, ids = ARGV[1], ARGV[2] == 'due', cjson.decode(ARGV[3])
--- include shared/now.lua
--- include shared/before-adding.lua
--- include shared/forget-dead.lua
--- include shared/wake.lua

local ended = {}
for _, id in ipairs(ids) do
  local failure = redis.call('HGET', failures, id)
  if failure and string.find(failure, '"dead":true', 1, true) then
    ended[#ended + 1] = id
    redis.call('HDEL', failures, id)
    forgetDead(id)
    if putsBack then
      beforeAdding()
      redis.call('ZADD', due, 'LT', now, id)
    end
  end
end
if #ended == 0 then return '[]' end
if putsBack then wake() end
return cjson.encode(ended)
