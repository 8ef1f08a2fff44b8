-- Gives the live space up, because it is not what its log says any more; the next who looks has it built anew. One that
-- somebody else has given up already, or that is right, is left alone.
--
-- KEYS  1 root   2 fence
-- ARGV  1 the space, or '' for the one that is live   2 the time now, ms
--       3 field of a partition, or '' to give it up whatever it says   4 the end of its log
--       5 field of the topic's id   6 the topic's id   7 field that says that the topic was made anew
-- Answers {'dropped'}, {'unchanged'} or {'fenced'}.

if fence_holder(KEYS[2], ARGV[2]) then return {'fenced'} end
local space = redis.call('HGET', KEYS[1], 'space')
if not space or (ARGV[1] ~= '' and space ~= ARGV[1]) then return {'unchanged'} end
if ARGV[3] ~= '' then
  local state = KEYS[1] .. ':' .. space
  local offset, log = redis.call('HGET', state, ARGV[3]), redis.call('HGET', state, ARGV[5])
  local beyond = offset and tonumber(offset) > tonumber(ARGV[4])
  if not beyond and (not log or log == ARGV[6]) then return {'unchanged'} end
  redis.call('HSET', KEYS[1], ARGV[7], '1')
end
redis.call('HDEL', KEYS[1], 'space')
redis.call('HSET', KEYS[1], 'old/' .. space, '1')
return {'dropped'}
