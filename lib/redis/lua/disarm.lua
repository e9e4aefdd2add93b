-- Removes a timer, unless it has been armed for another deadline meanwhile.
--
-- KEYS    due, failures
--         tombstones   the prefix of the tombstones' names
--         key          the timer's key; left out in a cluster, where the caller reads it before and removes it after
-- ARGV    id
--         expected     the deadline it must have; '' for any
--         toleranceMs  how far the expiry of a key that is not in the index may differ from that; '' for any difference
--         keyExpires   when the key expires, '' if there is none; looked at only where KEYS has no key
-- Output  1 where there was one, 0 where there was none, -1 where it has another deadline
local due, failures, tombstones, key = KEYS[1], KEYS[2], KEYS[3], #KEYS == 4 and KEYS[4]
local id, expected, toleranceMs, keyExpires = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
--- include shared/now.lua
--- include shared/tombstones.lua
--- include shared/after-removing.lua
--- include shared/forget-dead.lua

local score = redis.call('ZSCORE', due, id)
if score and expected ~= '' and tonumber(score) ~= tonumber(expected) then return -1 end
if not score and toleranceMs ~= '' then
  local left = key and redis.call('PTTL', key) or (tonumber(keyExpires) or -1) - now
  local off = now + left - tonumber(expected)
  if left < 0 or math.max(off, -off) > tonumber(toleranceMs) then return -1 end
end
if redis.call('HDEL', failures, id) == 1 then forgetDead(id) end -- first, since it needs no memory: see take.lua
for _, sort in ipairs({ 'cancelled', 'recent' }) do redis.call('SADD', (tombstoneSets(tombstones, sort)), id) end
local removed = redis.call('ZREM', due, id)
if removed == 1 then afterRemoving() end
if not key then return removed end
local unlinked = redis.call('UNLINK', key)
return math.max(removed, unlinked)
