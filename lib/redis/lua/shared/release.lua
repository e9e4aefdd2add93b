-- Defines releaseLease(claimToken, claimLease, dueAt): puts a claim's timers back into the index. Those without a deadline are due at
-- `dueAt`. Needs due, leases.
--- include shared/before-adding.lua
--- include shared/deadlines-of.lua
local function releaseLease(claimToken, claimLease, dueAt)
  redis.call('ZREM', leases, claimToken)
  local deadlines = deadlinesOf(claimLease)
  local ids = redis.call('SMEMBERS', claimLease)
  if #ids > 0 then beforeAdding() end
  for _, id in ipairs(ids) do redis.call('ZADD', due, 'LT', deadlines[id] or dueAt, id) end
  redis.call('UNLINK', claimLease, claimLease .. ':deadlines')
end
