-- Defines beat(processes, layout, first): writes a process's record, adds what it has counted, and answers with the records of all
-- processes. It names the data if they have no name yet, says in how many partitions a cluster's index is if they do not, and drops
-- the records of processes that have not beaten for long, or only in the future.
--
-- ARGV from `first`: id, wallMs, record   the record is JSON; wallMs is the process's own clock
--                    keptMs               how long the record of a silent process is kept
--                    layoutNumber, version, newName
--                    partitions           as many as the process takes the index to have; '' if it does not know, or there is no cluster
--                    latenessKey          the beginning of the names of the lateness hashes; the minute follows
--                    latenessKeptMs
--                    then field, count, field, count, … of the lateness
-- Answers            now, the data's name, then id, record, id, record, …  (each record: when it was written, wallMs, JSON)
--- include shared/now.lua
local function beat(processes, layout, first)
  local id, wallMs, record, keptMs, layoutNumber, version, newName, partitions, latenessKey, latenessKeptMs =
    unpack(ARGV, first, first + 9)
  local at = string.format('%.0f', now)
  if tonumber(redis.call('HGET', layout, 'layout') or 0) < tonumber(layoutNumber) then
    redis.call('HSET', layout, 'layout', layoutNumber, 'version', version)
  end
  redis.call('HSETNX', layout, 'name', newName)
  if partitions ~= '' then redis.call('HSETNX', layout, 'partitions', partitions) end -- it may have been lost with the data of its node
  redis.call('HSET', processes, id, at .. ' ' .. wallMs .. ' ' .. record)
  if #ARGV > first + 9 then
    local minute = latenessKey .. string.format('%.0f', math.floor(now / 60000))
    for i = first + 10, #ARGV, 2 do redis.call('HINCRBY', minute, ARGV[i], ARGV[i + 1]) end
    redis.call('PEXPIRE', minute, latenessKeptMs)
  end

  local answer = { at, redis.call('HGET', layout, 'name') }
  local records = redis.call('HGETALL', processes)
  for i = 1, #records, 2 do
    local writtenAt = tonumber(string.sub(records[i + 1], 1, 13)) or 0
    if writtenAt < now - keptMs or writtenAt > now + 60000 then
      redis.call('HDEL', processes, records[i])
    else
      answer[#answer + 1] = records[i]
      answer[#answer + 1] = records[i + 1]
    end
  end
  return answer
end
