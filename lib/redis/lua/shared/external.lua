-- Defines addExternal(answer, key, soonMs, kinds): adds a key, and milliseconds to its expiry, if it is one of our kinds that expires soon
-- and is not in the index. The expiry is read first: the index is asked only about keys that expire soon.
--
-- kinds    keyPrefix, due, keyPrefix, due, …: the beginning of a kind's keys, and its due index; '' for one that cannot be asked here
local function addExternal(answer, key, soonMs, kinds)
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
