-- Defines removeKeys(names, firstExpiry): removes timers' keys without an `expired` event. `firstExpiry` is when the first of them expires.
-- Keys past their expiry take a call each: UNLINK would publish `expired` first, to every worker, while storing an empty set over them
-- publishes `del` at most (seen on 7.0.15). Needs leases, now.
--- include shared/now.lua
local function removeKeys(names, firstExpiry)
  local never = leases .. ':none' -- a set that never exists
  if tonumber(firstExpiry) <= now then
    for _, name in ipairs(names) do redis.call('SINTERSTORE', name, never) end
  else
    for first = 1, #names, 4000 do redis.call('UNLINK', unpack(names, first, math.min(first + 3999, #names))) end
  end
end
