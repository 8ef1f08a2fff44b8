-- Empties a projection that has more of a partition than its log, or was built from another topic of the same name.
-- One that another consumer has emptied already is left alone.
--
-- KEYS  1 window   2 state   3 positions   4 seen   5 fence
-- ARGV  1 control channel   2 the new epoch   3 field of the partition   4 the end of its log
--       5 field of the topic's id   6 the topic's id
-- Answers {'restarted'}, {'unchanged'} or {'fenced'}.

if redis.call('EXISTS', KEYS[5]) == 1 then return {'fenced'} end
local offset = redis.call('HGET', KEYS[2], ARGV[3])
local log = redis.call('HGET', KEYS[2], ARGV[5])
local beyond = offset and tonumber(offset) > tonumber(ARGV[4])
if not beyond and (not log or log == ARGV[6]) then return {'unchanged'} end
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
redis.call('HSET', KEYS[2], 'epoch', ARGV[2], ARGV[5], ARGV[6])
redis.call('PUBLISH', ARGV[1], ARGV[2])
return {'restarted'}
