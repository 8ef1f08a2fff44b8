-- Puts a rebuilt projection in the place of the live one, in one step, and lifts the fence.
--
-- KEYS  1-4 live window, state, positions, seen   5-8 the rebuilt ones   9 fence
-- ARGV  1 token of the replay   2 the new epoch   3 the time now, ms
-- Answers 1, or 0 when the fence is no longer this replay's.

if fence_holder(KEYS[9], ARGV[3]) ~= ARGV[1] then return 0 end

-- A server that has no RENAME in scripts has what is there written anew.
local function rename(from, to)
  local renamed = redis.pcall('RENAME', from, to)
  if not (type(renamed) == 'table' and renamed.err) then return end
  local kind, values, write = redis.call('TYPE', from), nil, nil
  kind = kind.ok or kind
  if kind == 'list' then
    values, write = redis.call('LRANGE', from, 0, -1), 'RPUSH'
  elseif kind == 'hash' then
    values, write = redis.call('HGETALL', from), 'HSET'
  else
    values, write = redis.call('ZRANGE', from, 0, -1, 'WITHSCORES'), 'ZADD'
    for i = 1, #values, 2 do values[i], values[i + 1] = values[i + 1], values[i] end
  end
  redis.call('DEL', to, from)
  for at = 1, #values, 1000 do
    redis.call(write, to, unpack(values, at, math.min(at + 999, #values)))
  end
end

for i = 1, 4 do
  if redis.call('EXISTS', KEYS[4 + i]) == 1 then
    redis.call('PERSIST', KEYS[4 + i])
    rename(KEYS[4 + i], KEYS[i])
  else
    redis.call('DEL', KEYS[i])
  end
end
redis.call('HSET', KEYS[2], 'epoch', ARGV[2])
redis.call('DEL', KEYS[9])
return 1
