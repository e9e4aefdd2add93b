-- Reserves a share of a rate limit that all workers have in common, unless the wait for it would be too long.
--
-- KEYS    pace         when everything reserved so far is used up, by Redis's clock; expires then
-- ARGV    count, perSecond
--         mostMs       the longest wait that the caller accepts
-- Output  milliseconds, as text, until the caller may begin; if they are more than mostMs, nothing was reserved
local pace = KEYS[1]
local count, perSecond, mostMs = ARGV[1], ARGV[2], tonumber(ARGV[3])
--- include shared/now.lua

local from = math.max(now, tonumber(redis.call('GET', pace) or 0))
local waitMs = from - now
if waitMs <= mostMs then
  local usedUp = from + count * 1000 / perSecond
  redis.call('SET', pace, string.format('%.3f', usedUp), 'PX', math.ceil(usedUp - now))
end
return string.format('%.3f', waitMs)
