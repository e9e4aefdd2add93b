-- Defines beforeAdding(), to be called before something is added to the index. If this would start a new index after data loss, the epoch
-- is removed, so that the next claim detects the loss. Needs due.
--- include shared/state.lua
local function beforeAdding()
  if redis.call('EXISTS', due) == 1 then return end
  if redis.call('HGET', state, 'armed') == '1' then redis.call('HDEL', state, 'epoch') end
  redis.call('HSET', state, 'armed', '1')
end
