-- One step of a scan for external keys: keys of our kinds that expire soon and are not in the index. A key's expiry is asked first, since
-- Redis has just looked at the key; the index is asked only about those that expire soon.
--
-- KEYS    none
-- ARGV    cursor
--         count   how many keys to look at
--         soonMs  how soon is soon
--         then keyPrefix, due, keyPrefix, due, …: the beginning of a kind's keys, and its due index
-- Output  the next cursor, then key, milliseconds to its expiry, key, milliseconds, …
local cursor, count, soonMs = ARGV[1], ARGV[2], tonumber(ARGV[3])

local step = redis.call('SCAN', cursor, 'COUNT', count)
local answer = { step[1] }
for _, key in ipairs(step[2]) do
  for i = 4, #ARGV, 2 do
    local keyPrefix, due = ARGV[i], ARGV[i + 1]
    if string.sub(key, 1, #keyPrefix) == keyPrefix then
      local left = redis.call('PTTL', key)
      if left >= 0 and left <= soonMs and #key < 600 and not redis.call('ZSCORE', due, string.sub(key, #keyPrefix + 1)) then
        answer[#answer + 1] = key
        answer[#answer + 1] = left
      end
      break
    end
  end
end
return answer
