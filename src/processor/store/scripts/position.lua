-- Where the live space stands in a partition. From the first time on, it knows which topic it was built from.
--
-- KEYS  1 root
-- ARGV  1 field of the partition   2 field of the topic's id   3 the topic's id
-- Answers {'lost'} when there is no live space, {'at', space, offset}, {'nowhere', space} when it has seen nothing of the
-- partition, or {'other-log', space}.

local space = redis.call('HGET', KEYS[1], 'space')
if not space then return {'lost'} end
local state = KEYS[1] .. ':' .. space
local log = redis.call('HGET', state, ARGV[2])
if not log then
  redis.call('HSET', state, ARGV[2], ARGV[3])
elseif log ~= ARGV[3] then
  return {'other-log', space}
end
local offset = redis.call('HGET', state, ARGV[1])
if not offset then return {'nowhere', space} end
return {'at', space, offset}
