-- Defines forgetDead(member), for an id that failures had. Needs failures.
--- include shared/dead-letters.lua
local function forgetDead(member)
  if redis.call('ZREM', dead, member) == 1 then redis.call('HDEL', stacks, member) end
end
