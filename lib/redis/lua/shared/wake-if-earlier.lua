-- Defines wakeIfEarlier(head, deadline): publishes a wake where the deadline is before that of the former head. Needs wakeChannel, due.
--- include shared/wake.lua
local function wakeIfEarlier(head, deadline)
  if not head[2] or tonumber(deadline) < tonumber(head[2]) then wake() end
end
