-- Defines scanStep(lock, worker, lockMs, cursor, count, soonMs, kinds): one step of a scan for external keys, of which one worker at a
-- time has the lock. Finds keys of our kinds that expire soon and are not in the index.
--
-- kinds    as shared/external.lua says
-- Answers  the next cursor, then key, milliseconds to its expiry, key, milliseconds, …; nothing if another worker has the lock
-- Throws   the text of the error if a command is refused; the lock is then left to a worker whose user may scan
--- include shared/external.lua
--- include shared/named.lua
local function hasLock(lock, worker, lockMs)
  if named('GET', lock) == worker then return true end
  local taken = redis.pcall('SET', lock, worker, 'PX', lockMs, 'NX') -- a pulse's first SET shows whether Redis refuses writes
  return taken and taken.ok == 'OK'
end

local function lockedStep(lock, lockMs, cursor, count, soonMs, kinds)
  named('PEXPIRE', lock, lockMs)
  named('PTTL', lock) -- that of a found key may also be refused because its slot is moving
  local step = named('SCAN', cursor, 'COUNT', count)
  local answer = { step[1] }
  for _, key in ipairs(step[2]) do addExternal(answer, key, soonMs, kinds) end
  return answer
end

local function scanStep(lock, worker, lockMs, cursor, count, soonMs, kinds)
  if not hasLock(lock, worker, lockMs) then return {} end
  local ok, answer = pcall(lockedStep, lock, lockMs, cursor, count, soonMs, kinds)
  if ok then return answer end
  redis.pcall('UNLINK', lock)
  error(type(answer) == 'table' and answer.err or answer, 0)
end
