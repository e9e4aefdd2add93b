-- Defines epochOf(stateName, isEmpty, newest): the epoch of an index as text, or '' if its data is lost. It grows every ten seconds, so
-- that older data is told by it. See shared/state.lua. Needs now.
--- include shared/now.lua
local function epochOf(stateName, isEmpty, newest)
  local known = redis.call('HMGET', stateName, 'epoch', 'armed')
  local epoch = tonumber(known[1] or 0)
  local isLost = epoch < newest or known[2] == '1' and isEmpty
  if isLost then return '' end
  if now - epoch > 10000 then
    local grown = math.max(math.floor(now), epoch + 1)
    -- Where Redis refuses to write, the older epoch stays. The newer one would later be taken for data that were lost.
    local set = redis.pcall('HSET', stateName, 'epoch', string.format('%.0f', grown))
    if type(set) == 'number' then epoch = grown end
  end
  return string.format('%.0f', epoch)
end
