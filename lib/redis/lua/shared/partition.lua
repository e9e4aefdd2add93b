-- Defines partition(command, set, values): the values that a set does not contain, and those that it contains. The command is that of the
-- set's type, ZMSCORE or SMISMEMBER.
local function partition(command, set, values)
  if redis.call('EXISTS', set) == 0 then return values, {} end
  local absent, present = {}, {}
  for first = 1, #values, 4000 do
    for i, found in ipairs(redis.call(command, set, unpack(values, first, math.min(first + 3999, #values)))) do
      local list = found and found ~= 0 and present or absent
      list[#list + 1] = values[first + i - 1]
    end
  end
  return absent, present
end
