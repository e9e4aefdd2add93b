-- Defines scanStep(lock, worker, lockMs, cursor, count, soonMs, kinds): one step of a scan for external keys, of which one worker at a
-- time has the lock. Finds keys of our kinds that expire soon and are not in the index.
--
-- kinds    as shared/external.lua says
-- Answers  the next cursor, then key, milliseconds to its expiry, key, milliseconds, …; nothing if another worker has the lock
--- include shared/external.lua
local function hasLock(lock, worker, lockMs)
  if redis.call('GET', lock) == worker then return redis.call('PEXPIRE', lock, lockMs) == 1 end
  local taken = redis.pcall('SET', lock, worker, 'PX', lockMs, 'NX')
  return taken and taken.ok == 'OK'
end

local function scanStep(lock, worker, lockMs, cursor, count, soonMs, kinds)
  if not hasLock(lock, worker, lockMs) then return {} end
  local step = redis.call('SCAN', cursor, 'COUNT', count)
  local answer = { step[1] }
  for _, key in ipairs(step[2]) do addExternal(answer, key, soonMs, kinds) end
  return answer
end
