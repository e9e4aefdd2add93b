-- Moves a deadline that only Redis has, unless it has changed meanwhile. It may become the first to be due.
--
-- KEYS    due
--         key        the timer's key; left out in a cluster, where the caller sets it after
-- ARGV    wakeChannel
--         id
--         byMs       milliseconds to add; 'now' makes it due now, and never later than it was
--         expected   the deadline it must have; '' for any
--         toleranceMs   how far it may differ from that: a TTL was read a moment before
--         keyExpires    when the key expires, '' if there is none; looked at only where KEYS has no key
-- Output  the deadline before and the new one, as text; if it is not as expected, only the one before; nil if there is no timer
local due, key = KEYS[1], #KEYS == 2 and KEYS[2]
local wakeChannel, id, byMs, expected, toleranceMs, keyExpires = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
--- include shared/now.lua
--- include shared/before-adding.lua
--- include shared/wake-if-earlier.lua

local before = redis.call('ZSCORE', due, id)
if not before then
  local left = key and redis.call('PTTL', key) or (tonumber(keyExpires) or -1) - now
  if left < 0 then return false end
  before = now + left
end
if expected ~= '' then
  local off = before - tonumber(expected)
  if math.max(off, -off) > tonumber(toleranceMs) then return { string.format('%.0f', before) } end
end
local deadline = string.format('%.0f', byMs == 'now' and math.min(before, math.floor(now)) or before + byMs)
local head = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')
beforeAdding()
redis.call('ZADD', due, deadline, id)
wakeIfEarlier(head, deadline)
if key then redis.call('SET', key, '1', 'PXAT', deadline) end
return { string.format('%.0f', before), deadline }
