-- Defines releaseLease(claimToken, claimLease, dueAt): puts a claim's timers back into the index. A lease is the set of the claim's ids; a
-- string `<lease>:deadlines` holds the deadlines of those that came from the index, as JSON: id, deadline, id, deadline, …
-- Those without one are due at `dueAt`. Needs due, leases.
--- include shared/before-adding.lua
local function releaseLease(claimToken, claimLease, dueAt)
  redis.call('ZREM', leases, claimToken)
  local deadlines = {}
  local known = cjson.decode(redis.call('GET', claimLease .. ':deadlines') or '[]')
  for i = 1, #known, 2 do deadlines[known[i]] = known[i + 1] end
  local ids = redis.call('SMEMBERS', claimLease)
  if #ids > 0 then beforeAdding() end
  for _, id in ipairs(ids) do redis.call('ZADD', due, 'LT', deadlines[id] or dueAt, id) end
  redis.call('UNLINK', claimLease, claimLease .. ':deadlines')
end
