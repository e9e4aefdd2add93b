-- Defines state: the name of a hash about the index, with `armed`, that the index is not empty, and `epoch`, a number that only grows. Lost
-- data shows in that an index that should not be empty is missing, or that the epoch is missing or older than a worker has seen.
-- Needs due.
local state = due .. ':state'
