-- Defines scanStep(lock, worker, lockMs, cursor, count, soonMs, kinds): one step of a scan for external keys, of which one worker at a
-- time has the lock. Finds keys of our kinds that expire soon and are not in the index. The key's expiry is read first, since Redis has
-- just looked at the key; the index is asked only about those that expire soon.
--
-- kinds    keyPrefix, due, keyPrefix, due, …: the beginning of a kind's keys, and its due index; '' for one that cannot be asked here
-- Answers  the next cursor, then key, milliseconds to its expiry, key, milliseconds, …; nothing if another worker has the lock
local function hasLock(lock, worker, lockMs)
  if redis.call('GET', lock) == worker then return redis.call('PEXPIRE', lock, lockMs) == 1 end
  local taken = redis.pcall('SET', lock, worker, 'PX', lockMs, 'NX')
  return taken and taken.ok == 'OK'
end

local function scanStep(lock, worker, lockMs, cursor, count, soonMs, kinds)
  if not hasLock(lock, worker, lockMs) then return {} end
  local step = redis.call('SCAN', cursor, 'COUNT', count)
  local answer = { step[1] }
  for _, key in ipairs(step[2]) do
    for i = 1, #kinds, 2 do
      local keyPrefix, due = kinds[i], kinds[i + 1]
      if string.sub(key, 1, #keyPrefix) == keyPrefix then
        local left = redis.pcall('PTTL', key) -- refused of a slot that is moving here
        local isNamed = type(left) == 'number' and left >= 0 and left <= soonMs and #key < 600
        if isNamed and (due == '' or not redis.call('ZSCORE', due, string.sub(key, #keyPrefix + 1))) then
          answer[#answer + 1] = key
          answer[#answer + 1] = left
        end
        break
      end
    end
  end
  return answer
end
