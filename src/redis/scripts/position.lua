-- The next offset of a partition.
--
-- KEYS  1 state
-- ARGV  1 field of the partition
-- Answers the offset, or nil when the state has seen nothing of it.

return redis.call('HGET', KEYS[1], ARGV[1])
