-- Reads the whole projection at one moment.
--
-- KEYS  1 window   2 state   3 positions
-- Answers {epoch or '', seq, members, positions, state as field, value, ...}.

return {
  redis.call('HGET', KEYS[2], 'epoch') or '',
  tonumber(redis.call('HGET', KEYS[2], 'seq') or 0),
  redis.call('LRANGE', KEYS[1], 0, -1),
  redis.call('LRANGE', KEYS[3], 0, -1),
  redis.call('HGETALL', KEYS[2]),
}
