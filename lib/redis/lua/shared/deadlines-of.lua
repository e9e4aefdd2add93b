-- Defines deadlinesOf(claimLease): by id, the deadlines of a claim's timers that came from the index. A lease is the set of the claim's
-- ids; a string `<lease>:deadlines` holds these deadlines as JSON: id, deadline, id, deadline, …
local function deadlinesOf(claimLease)
  local deadlines = {}
  local known = cjson.decode(redis.call('GET', claimLease .. ':deadlines') or '[]')
  for i = 1, #known, 2 do deadlines[known[i]] = known[i + 1] end
  return deadlines
end
