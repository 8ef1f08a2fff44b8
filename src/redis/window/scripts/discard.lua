-- Removes what a replay has built, and lifts its fence.
--
-- KEYS  1 fence   2-5 the rebuilt window, state, positions, seen
-- ARGV  1 token of the replay   2 the time now, ms

redis.call('DEL', KEYS[2], KEYS[3], KEYS[4], KEYS[5])
if fence_holder(KEYS[1], ARGV[2]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
