-- Makes a rebuilt space the live one, in one step, and lifts the fence.
--
-- KEYS  1 root   2 fence
-- ARGV  1 token of the rebuild, which is its space's name   2 the new epoch of the window   3 the time now, ms
--       4… fields that said which topics were made anew
-- Answers 1, or 0 when the fence is no longer this rebuild's.

if fence_holder(KEYS[2], ARGV[3]) ~= ARGV[1] then return 0 end
local before = redis.call('HGET', KEYS[1], 'space')
if before then redis.call('HSET', KEYS[1], 'old/' .. before, '1') end
redis.call('HSET', KEYS[1], 'space', ARGV[1], 'epoch', ARGV[2])
redis.call('HDEL', KEYS[1], 'old/' .. ARGV[1], unpack(ARGV, 4))
redis.call('DEL', KEYS[2])
return 1
