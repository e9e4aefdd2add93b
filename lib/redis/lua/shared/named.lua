-- Defines named(command, …): redis.call, whose error ends with the command. Within pcall Redis's own does not say which was refused.
local function named(command, ...)
  local answer = redis.pcall(command, ...)
  if type(answer) == 'table' and answer.err then error(answer.err .. ' (' .. string.lower(command) .. ')', 0) end
  return answer
end
