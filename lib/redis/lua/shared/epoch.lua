-- Defines epochOf(stateName, isEmpty, newest): the epoch of an index as text, or '' if its data is lost. It grows every ten seconds, so
-- that older data is told by it. See shared/state.lua. Needs now.
--- include shared/now.lua
local function epochOf(stateName, isEmpty, newest)
  local known = redis.call('HMGET', stateName, 'epoch', 'armed')
  local epoch = tonumber(known[1] or 0)
  local isLost = epoch < newest or known[2] == '1' and isEmpty
  if isLost then return '' end
  if now - epoch > 10000 then
    epoch = math.max(math.floor(now), epoch + 1)
    redis.pcall('HSET', stateName, 'epoch', string.format('%.0f', epoch))
  end
  return string.format('%.0f', epoch)
end
