-- Gives the state a new epoch, because it was lost, rolled back, or a partition has to be read again: an id of the old
-- epoch no longer means what it did.
--
-- KEYS  1 state   2 fence
-- ARGV  1 control channel   2 the new epoch   3... fields of the partitions to forget
-- Answers {'rewound'} or {'fenced'}.

if redis.call('EXISTS', KEYS[2]) == 1 then return {'fenced'} end
redis.call('HSET', KEYS[1], 'epoch', ARGV[2])
for i = 3, #ARGV do redis.call('HDEL', KEYS[1], ARGV[i]) end
redis.call('PUBLISH', ARGV[1], ARGV[2])
return {'rewound'}
