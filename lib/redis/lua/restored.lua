-- Notes that lost data has been armed again: from now on the index counts as complete.
--
-- KEYS    due
-- ARGV    knownEpoch  the newest epoch that the worker has seen
-- Output  the new epoch, as text
local due = KEYS[1]
local knownEpoch = ARGV[1]
--- include shared/now.lua
--- include shared/state.lua

local epoch = string.format('%.0f', math.max(math.floor(now), knownEpoch + 1))
redis.call('HSET', state, 'epoch', epoch)
if redis.call('EXISTS', due) == 1 then redis.call('HSET', state, 'armed', '1') else redis.call('HDEL', state, 'armed') end
redis.call('UNLINK', state .. ':restored-by')
return epoch
