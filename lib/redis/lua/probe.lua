-- A test write with each write command of the other scripts, first one that needs memory. Leaves nothing behind.
--
-- KEYS    text, set, zset, hash  a key of each type
--         never                  a key that never exists
-- ARGV    none
-- Output  1, or the first error
local text, set, zset, hash, never = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]

local refused
local function try(...)
  local answer = redis.pcall(...)
  if type(answer) == 'table' and answer.err and not refused then refused = answer end
end
try('SET', text, '1', 'PX', 1000)
try('SADD', set, '1', '2')
try('SREM', set, '1')
try('ZADD', zset, 1, '1', 2, '2')
try('ZREM', zset, '1')
try('ZPOPMIN', zset)
try('HSET', hash, '1', '1', '2', '2')
try('HDEL', hash, '1')
try('SINTERSTORE', text, never)
try('UNLINK', text, set, zset, hash)
return refused or 1
