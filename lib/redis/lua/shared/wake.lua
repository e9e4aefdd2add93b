-- Defines wakeIfEarlier(head, deadline): publishes a wake where the deadline is before that of the index's former head. A user who may not
-- publish arms all the same. Needs wakeChannel.
local function wakeIfEarlier(head, deadline)
  if not head[2] or tonumber(deadline) < tonumber(head[2]) then redis.pcall('PUBLISH', wakeChannel, '1') end
end
