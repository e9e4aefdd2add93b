-- Defines isHeldByFailure(id): whether a timer that failed must be left alone, since it waits in the index for its next attempt, or is a
-- dead letter. Needs failures, due.
local function isHeldByFailure(id)
  local failure = redis.call('HGET', failures, id)
  return failure and (string.find(failure, '"dead":true', 1, true) or redis.call('ZSCORE', due, id))
end
