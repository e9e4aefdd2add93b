-- The clock of the node that has a key.
--
-- KEYS    key   any key on that node
-- ARGV    none
-- Output  now, in milliseconds, as text
local _ = KEYS[1]
--- include shared/now.lua

return string.format('%.3f', now)
