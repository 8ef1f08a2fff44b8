-- Takes or renews the fence of a projection for one replay.
--
-- KEYS  1 fence
-- ARGV  1 token of the replay   2 how long it lasts, ms
-- Answers 1, or 0 when another replay holds it.

local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
