-- A worker's pulse: everything that an idle worker asks Redis, in one call. It reads the head of each index and its data, touches the
-- key of the expiry probe and sets it again, and can carry a heartbeat and a step of the scan for external keys. It removes nothing from an
-- index.
--
-- KEYS    key, control  of the expiry probe, if there is one
--         then due, leases, tombstones, due, leases, …: as many as the worker has indexes
--         and with a beat last of all processes, layout
-- ARGV    epochs      as JSON: of each index the newest epoch that the worker has seen
--         probe       as JSON: ttlMs, controlTtlMs; empty for none
--         isThorough  '1' to drop old tombstones and describe the server, else ''
--         scan        as JSON: lock, worker, lockMs, count, soonMs, then keyPrefix, due, keyPrefix, due, …; empty for no step
--         beat        as shared/beat.lua says; nothing for no beat
-- Output  now        by Redis's clock, as text
--         isSet      1 where the probe's key has not expired, else 0
--         hasControl 1 where the control key was there, else 0
--         refused    why Redis refuses to write, '' if it does not
--         heads      next, leaseEnds, epoch, next, …: the index's next deadline, when the first lease ends, each '' if there is none;
--                    and the epoch, '' if data is lost
--         server     lines of INFO: role, cluster_enabled, maxmemory_policy, those that are known
--         scan       as shared/scan-step.lua says; empty if it was refused
--         beat       as shared/beat.lua says; empty if it was refused
--         beatError  why it was refused
--         scanError  why the step of the scan was refused, '' if it was not
local epochs, probe, isThorough, scan = cjson.decode(ARGV[1]), cjson.decode(ARGV[2]), ARGV[3] == '1', cjson.decode(ARGV[4])
--- include shared/now.lua
--- include shared/epoch.lua
--- include shared/tombstones.lua
--- include shared/scan-step.lua
--- include shared/values-from.lua
--- include shared/beat.lua

local ttlMs, controlTtlMs = probe[1], probe[2]
local before = ttlMs and 2 or 0
local answer = { string.format('%.3f', now), 0, 0, '', {}, '', {}, {}, '', '' }

-- First, since it needs memory: a script that has written anything may go on although memory is full.
local isRefused = false
if ttlMs then
  local key, control = KEYS[1], KEYS[2]
  answer[2] = redis.call('EXISTS', key)
  answer[3] = redis.call('EXISTS', control)
  local set = redis.pcall('SET', control, '1', 'PX', controlTtlMs)
  if not set.err then set = redis.pcall('SET', key, '1', 'PX', ttlMs) end -- even if it is there: the clock may have been set back
  isRefused = set.err ~= nil
  if isRefused then answer[4] = set.err end
end

for i, knownEpoch in ipairs(epochs) do
  local due, leases, tombstones = KEYS[before + 3 * i - 2], KEYS[before + 3 * i - 1], KEYS[before + 3 * i]
  local found = answer[5]
  local first = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')[2] or ''
  found[#found + 1] = first
  found[#found + 1] = redis.call('ZRANGE', leases, 0, 0, 'WITHSCORES')[2] or ''
  found[#found + 1] = epochOf(due .. ':state', first == '', knownEpoch)
  if isThorough and not isRefused then
    for sort in pairs(tombstoneTurnMs) do pcall(tombstoneSets, tombstones, sort) end
  end
end

if isThorough then
  local info = redis.pcall('INFO')
  if type(info) == 'string' then
    for _, line in ipairs({ 'role:%w+', 'cluster_enabled:%d', 'maxmemory_policy:[%w-]+' }) do
      answer[6] = answer[6] .. (string.match(info, line) or '') .. '\n'
    end
  end
end

if #scan > 0 then
  local ok, found = pcall(scanStep, scan[1], scan[2], scan[3], '0', scan[4], scan[5], valuesFrom(scan, 6))
  if ok then
    answer[7] = found
  else
    answer[10] = type(found) == 'table' and found.err or tostring(found)
  end
end

if #ARGV > 4 then
  local ok, found = not isRefused, answer[4]
  if ok then ok, found = pcall(beat, KEYS[#KEYS - 1], KEYS[#KEYS], 5) end
  if ok then
    answer[8] = found
  else
    answer[9] = type(found) == 'table' and found.err or tostring(found)
  end
end
return answer
