-- Reserves a share of a rate limit that all workers have in common, unless the wait for it would be too long.
--
-- KEYS    pace         when everything reserved so far is used up, and when that was noted, by Redis's clock; if the clock was
--                      set back since, nothing counts as reserved
-- ARGV    count, perSecond
--         mostMs       the longest wait that the caller accepts
-- Output  milliseconds, as text, until the caller may begin; if they are more than mostMs, nothing was reserved
local pace = KEYS[1]
local count, perSecond, mostMs = ARGV[1], ARGV[2], tonumber(ARGV[3])
--- include shared/now.lua

local known, notedAt = string.match(redis.call('GET', pace) or '', '^(%S+) (%S+)$')
local from = notedAt and tonumber(notedAt) <= now and math.max(now, tonumber(known)) or now
local waitMs = from - now
if waitMs <= mostMs then
  local usedUp = from + count * 1000 / perSecond
  redis.call('SET', pace, string.format('%.3f %.3f', usedUp, now), 'PX', math.ceil(usedUp - now))
end
return string.format('%.3f', waitMs)
