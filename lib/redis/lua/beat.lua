-- A process's beat.
--
-- KEYS    processes, layout
-- ARGV    as shared/beat.lua says
-- Output  as shared/beat.lua says
--- include shared/beat.lua

return beat(KEYS[1], KEYS[2], 1)
