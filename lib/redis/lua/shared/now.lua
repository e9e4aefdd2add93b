-- Defines now: milliseconds by Redis's clock, with fractions.
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
