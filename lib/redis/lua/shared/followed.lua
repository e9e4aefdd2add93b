-- When each key of another service was acted on: a sorted set of ids by Redis's clock. A worker that asks late about an event, since Redis
-- did not answer or it had no time, does not act on it again. Events that are closer together than such tombstones last count as one.
--
-- Needs tombstones, now. Defines agesOf(ids, ages), wasFollowed(id, ageMs) and noteFollowed(ids).
--- include shared/now.lua
--- include shared/tombstones.lua
--- include shared/in-portions.lua
local followed, followedKeptMs = tombstones .. ':followed', 90000 -- longer than a worker goes on asking
local function agesOf(heard, ages)
  local byId = {}
  for i, id in ipairs(heard) do byId[id] = ages[i] end
  return byId
end
local function wasFollowed(id, ageMs)
  local at = redis.call('ZSCORE', followed, id)
  local agoMs = at and now - at
  return agoMs and agoMs >= 0 and agoMs <= ageMs + tombstoneTurnMs.external -- one in the future was noted before the clock was set back
end
local function noteFollowed(taken)
  local entries = {}
  for _, id in ipairs(taken) do
    entries[#entries + 1] = now
    entries[#entries + 1] = id
  end
  callInPortions('ZADD', followed, entries)
  redis.call('PEXPIRE', followed, followedKeptMs)
  callInPortions('ZREM', followed, redis.call('ZRANGEBYSCORE', followed, '-inf', now - followedKeptMs, 'LIMIT', 0, 4000))
end
