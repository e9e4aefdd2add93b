-- Extends a claim's lease while its work goes on. A lease that has expired is not extended, because a sweep may have taken its orders.
--
-- KEYS    leases
-- ARGV    token, leaseMs
-- Output  1 where the lease was still held, else 0
local leases = KEYS[1]
local token, leaseMs = ARGV[1], ARGV[2]
--- include shared/now.lua

local ends = redis.call('ZSCORE', leases, token)
if not ends or tonumber(ends) <= now then return 0 end
redis.call('ZADD', leases, now + leaseMs, token)
return 1
