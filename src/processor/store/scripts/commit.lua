-- Writes what a batch changed and the offsets behind it, all or nothing; nothing when anything that it was computed from
-- has changed meanwhile.
--
-- KEYS  1 root   2 fence   3 offsets of the space   4 list of the window, if there is one
-- ARGV  1 token of the rebuild that may pass the fence, or ''   2 the space   3 the time now, ms
--       then the number of partitions, and for each: field, the offset at which it must stand or '', the next offset
--       then the number of states, and for each: key, the version that it must have (0: none), how long it lasts (ms) or '',
--       its value
--       then the number of commands that follow, and for each: the number of its words, its words
--       then the number of indexes, and for each: key, how many entries it keeps, how many of its last ones go whose states
--       have expired
--       then what the keys of states begin with
--       then the channel to publish on or '', the length of the window, an epoch for one that has none
--       then messages, each as JSON without the closing brace, and its traceparent or ''
--
-- Answers {'done', messages that the caller must publish}, {'fenced'}, {'moved'} when another space is the live one,
-- {'stands', offset or '', ...} when the partitions stand elsewhere, or {'conflict', number of the state, ...}.
--
-- A server may write down which scripts were called and call them again when it starts, by when states have expired that had
-- not, and others have not yet that had. So a state says when it expires, by the clock of the callers, and one that is gone
-- is no conflict: what is removed leaves its version behind for longer than a batch takes.

local holder = fence_holder(KEYS[2], ARGV[3])
if ARGV[1] == '' then
  if holder then return {'fenced'} end
  if redis.call('HGET', KEYS[1], 'space') ~= ARGV[2] then return {'moved'} end
elseif holder ~= ARGV[1] then
  return {'fenced'}
end

local at = 4
local partitions, partitions_at = tonumber(ARGV[at]), at + 1
local stands, elsewhere = {'stands'}, false
for p = 1, partitions do
  local field = partitions_at + (p - 1) * 3
  local offset = redis.call('HGET', KEYS[3], ARGV[field]) or ''
  stands[p + 1] = offset
  if ARGV[field + 1] ~= 'any' and offset ~= ARGV[field + 1] then elsewhere = true end
end
if elsewhere then return stands end

at = partitions_at + partitions * 3
local states, states_at, now = tonumber(ARGV[at]), at + 1, tonumber(ARGV[3])
local conflicts = {'conflict'}
for s = 1, states do
  local i = states_at + (s - 1) * 4
  local value = redis.call('GET', ARGV[i])
  if value then
    local version, expires = string.match(value, '^(%d+) (%S+)')
    if version ~= ARGV[i + 1] and not (expires ~= '-' and tonumber(expires) <= now) then
      conflicts[#conflicts + 1] = tostring(s)
    end
  end
end
if #conflicts > 1 then return conflicts end

for s = 1, states do
  local i = states_at + (s - 1) * 4
  if ARGV[i + 2] == '' then
    redis.call('SET', ARGV[i], ARGV[i + 3])
  else
    redis.call('SET', ARGV[i], ARGV[i + 3], 'PX', ARGV[i + 2])
  end
end

at = states_at + states * 4
local commands = tonumber(ARGV[at])
at = at + 1
for _ = 1, commands do
  local words = tonumber(ARGV[at])
  redis.call(unpack(ARGV, at + 1, at + words))
  at = at + 1 + words
end

local indexes = tonumber(ARGV[at])
local states_begin = ARGV[at + 1 + indexes * 3]
for i = at + 1, at + indexes * 3, 3 do
  redis.call('ZREMRANGEBYRANK', ARGV[i], ARGV[i + 1], '-1')
  local last = redis.call('ZRANGE', ARGV[i], '-' .. ARGV[i + 2], '-1')
  for k = #last, 1, -1 do
    if redis.call('EXISTS', states_begin .. last[k]) == 1 then break end
    redis.call('ZREM', ARGV[i], last[k])
  end
end
at = at + 2 + indexes * 3

for p = 1, partitions do
  local field = partitions_at + (p - 1) * 3
  redis.call('HSET', KEYS[3], ARGV[field], ARGV[field + 2])
end

local unpublished = {}
if #ARGV > at + 2 then
  local messages, traces, _ = {}, {}, nil
  for i = at + 3, #ARGV, 2 do
    messages[#messages + 1], traces[#traces + 1] = ARGV[i], ARGV[i + 1]
  end
  epoch_of(KEYS[1], ARGV[at + 2])
  _, unpublished = push(KEYS[4], KEYS[1], nil, tonumber(ARGV[at + 1]), ARGV[at], messages, traces, nil)
end
return {'done', unpublished}
