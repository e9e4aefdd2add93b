-- Defines forgetDead(id), for an id that failures had. Needs failures.
--- include shared/dead-letters.lua
local function forgetDead(id)
  if redis.call('ZREM', dead, id) == 1 then redis.call('HDEL', stacks, id) end
end
