-- Empties a projection that has more of a partition than its log, or was built from another topic of the same name.
-- One that another consumer has emptied already is left alone.
--
-- KEYS  1 window   2 state   3 positions   4 seen   5 fence
-- ARGV  1 the new epoch   2 field of the partition   3 the end of its log
--       4 field of the topic's id   5 the topic's id   6 the time now, ms
-- Answers {'restarted'}, {'unchanged'} or {'fenced'}.

if fence_holder(KEYS[5], ARGV[6]) then return {'fenced'} end
local offset = redis.call('HGET', KEYS[2], ARGV[2])
local log = redis.call('HGET', KEYS[2], ARGV[4])
local beyond = offset and tonumber(offset) > tonumber(ARGV[3])
if not beyond and (not log or log == ARGV[5]) then return {'unchanged'} end
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
redis.call('HSET', KEYS[2], 'epoch', ARGV[1], ARGV[4], ARGV[5])
return {'restarted'}
