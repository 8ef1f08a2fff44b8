-- Gives the state a new epoch, because it was lost or rolled back: an id of the old epoch no longer means what it did.
--
-- KEYS  1 state   2 fence
-- ARGV  1 control channel   2 the new epoch
-- Answers {'rewound'} or {'fenced'}.

if redis.call('EXISTS', KEYS[2]) == 1 then return {'fenced'} end
redis.call('HSET', KEYS[1], 'epoch', ARGV[2])
redis.call('PUBLISH', ARGV[1], ARGV[2])
return {'rewound'}
