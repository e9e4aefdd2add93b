-- Defines wake(): publishes which index has something new at its head. A user who may not publish arms all the same.
-- Needs wakeChannel, due.
local function wake()
  redis.pcall('PUBLISH', wakeChannel, due)
end
