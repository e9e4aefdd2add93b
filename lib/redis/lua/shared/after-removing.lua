-- Defines afterRemoving(), to be called after something was removed from the index. Needs due.
--- include shared/state.lua
local function afterRemoving()
  if redis.call('EXISTS', due) == 0 then redis.call('HDEL', state, 'armed') end
end
