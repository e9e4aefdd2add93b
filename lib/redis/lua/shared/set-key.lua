-- Defines setKey(id, deadline): sets a timer's key. Needs keyPrefix: the beginning of the timers' keys; '' in a cluster, where they lie in
-- other slots and whoever called the script sets them.
local function setKey(id, deadline)
  if keyPrefix ~= '' then redis.call('SET', keyPrefix .. id, '1', 'PXAT', deadline) end
end
