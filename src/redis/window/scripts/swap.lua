-- Puts a rebuilt projection in the place of the live one, in one step, and lifts the fence.
--
-- KEYS  1-4 live window, state, positions, seen   5-8 the rebuilt ones   9 fence
-- ARGV  1 token of the replay   2 control channel   3 the new epoch
-- Answers 1, or 0 when the fence is no longer this replay's.

if redis.call('GET', KEYS[9]) ~= ARGV[1] then return 0 end
for i = 1, 4 do
  if redis.call('EXISTS', KEYS[4 + i]) == 1 then
    redis.call('PERSIST', KEYS[4 + i])
    redis.call('RENAME', KEYS[4 + i], KEYS[i])
  else
    redis.call('DEL', KEYS[i])
  end
end
redis.call('HSET', KEYS[2], 'epoch', ARGV[3])
redis.call('DEL', KEYS[9])
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1
