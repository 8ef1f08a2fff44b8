-- Gives the state a new epoch, because it was lost or rolled back: an id of the old epoch no longer means what it did.
--
-- KEYS  1 state   2 fence
-- ARGV  1 the new epoch   2 the time now, ms
-- Answers {'rewound'} or {'fenced'}.

if fence_holder(KEYS[2], ARGV[2]) then return {'fenced'} end
redis.call('HSET', KEYS[1], 'epoch', ARGV[1])
return {'rewound'}
