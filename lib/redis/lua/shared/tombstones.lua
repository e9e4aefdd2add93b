-- Tombstones of timers that were removed a moment ago, by sort:
--   settled    a late expiry event must not be mistaken for an external key's; a sweep may have read the row before
--   cancelled  also of orders that left `from`; for events alone: calls about one order may reach Redis in another order than Postgres, and
--              then only the sweep knows that it is due again
--   external   for every outcome of an external key; shorter than the shortest SETEX, since the key may be set again at once
--   recent     claimed or cancelled, for events of rules that no sweep covers: a later event is of a key that was set since;
--              likewise shorter
-- Two sets alternate, so that old tombstones are dropped as a whole: each lives for one to two turns. If the clock is set back, all end.
--
-- Needs now. Defines tombstoneTurnMs and tombstoneSets(prefix, sort): the set of this turn, to write to, and that of the last turn.
--- include shared/now.lua
local tombstoneTurnMs = { settled = 5000, cancelled = 5000, external = 450, recent = 500 }
local tombstoneSuffix = { settled = ':ours', cancelled = ':gone', external = ':theirs', recent = ':recent' }
local function tombstoneSets(prefix, sort)
  local name = prefix .. tombstoneSuffix[sort]
  local turn = math.floor(now / tombstoneTurnMs[sort])
  local last = tonumber(redis.call('GET', name) or 0)
  local new, old = name .. ':' .. turn % 2, name .. ':' .. (turn + 1) % 2
  if turn ~= last then
    redis.call('UNLINK', new)
    if turn ~= last + 1 then redis.call('UNLINK', old) end
    redis.call('SET', name, string.format('%.0f', turn))
  end
  return new, old
end
