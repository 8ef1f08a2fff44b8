-- Lifts the fence of a rebuild that was given up.
--
-- KEYS  1 fence
-- ARGV  1 token of the rebuild   2 the time now, ms

if fence_holder(KEYS[1], ARGV[2]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
