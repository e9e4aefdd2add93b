-- Defines valuesFrom(values, first): those from this index on, however many: unpack fails beyond Lua's stack of some 8,000.
local function valuesFrom(values, first)
  local found = {}
  for i = first, #values do found[#found + 1] = values[i] end
  return found
end
