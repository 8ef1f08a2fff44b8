-- Where the state stands in a partition. From the first time on, the state knows which topic it was built from.
--
-- KEYS  1 state
-- ARGV  1 field of the partition   2 field of the topic's id   3 the topic's id
-- Answers {'at', offset}, {'nowhere'} when the state has seen nothing of the partition, or {'other-log'}.

local log = redis.call('HGET', KEYS[1], ARGV[2])
if not log then
  redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
elseif log ~= ARGV[3] then
  return {'other-log'}
end
local offset = redis.call('HGET', KEYS[1], ARGV[1])
if not offset then return {'nowhere'} end
return {'at', offset}
