-- Defines wake(): publishes the name of an index with a new head. Without the right to publish, arming still works.
-- Needs wakeChannel, due.
local function wake()
  redis.pcall('PUBLISH', wakeChannel, due)
end
