-- Defines noteDead(id, stack). Each gets a unique score, so that pages have clear ends. Needs failures, now.
--- include shared/dead-letters.lua
local newestStacks, died = 10000, 0
local function noteDead(id, stack)
  died = died + 1
  redis.call('ZADD', dead, string.format('%.0f', now * 1000 + died), id)
  if stack ~= '' then redis.call('HSET', stacks, id, stack) end
  if redis.call('ZCARD', dead) > newestStacks then
    redis.call('HDEL', stacks, redis.call('ZRANGE', dead, -newestStacks - 1, -newestStacks - 1)[1])
  end
end
