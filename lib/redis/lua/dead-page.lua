-- Reads a page of dead letters, the newest first.
--
-- KEYS    failures
-- ARGV    before   the score that the last page ended with; '' for the first page
--         limit
-- Output  how many there are, and a list of id, score, failure as JSON, stack ('' for none), id, …
local failures = KEYS[1]
local before, limit = ARGV[1], ARGV[2]
--- include shared/dead-letters.lua

local most = before == '' and '+inf' or '(' .. before
local found = redis.call('ZRANGE', dead, most, '-inf', 'BYSCORE', 'REV', 'LIMIT', 0, limit, 'WITHSCORES')
local page = {}
for i = 1, #found, 2 do
  local id = found[i]
  page[#page + 1] = id
  page[#page + 1] = found[i + 1]
  page[#page + 1] = redis.call('HGET', failures, id) or ''
  page[#page + 1] = redis.call('HGET', stacks, id) or ''
end
return { redis.call('ZCARD', dead), page }
