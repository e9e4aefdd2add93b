-- Gives a claim back as a whole.
--
-- KEYS    due, leases
--         lease   the set that holds this claim's ids
-- ARGV    token
--         skewMs  what to add to Redis's clock
-- Output  none
local due, leases, lease = KEYS[1], KEYS[2], KEYS[3]
local token, skewMs = ARGV[1], ARGV[2]
--- include shared/now.lua
--- include shared/release.lua

releaseLease(token, lease, now + skewMs)
