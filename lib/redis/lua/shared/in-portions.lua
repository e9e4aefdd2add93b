-- Defines callInPortions(command, key, values): ZREM, SADD and the like, with as many values at once as Lua's stack can hold.
local function callInPortions(command, key, values)
  for first = 1, #values, 4000 do
    redis.call(command, key, unpack(values, first, math.min(first + 3999, #values)))
  end
end
