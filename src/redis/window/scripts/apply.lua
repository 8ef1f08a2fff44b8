-- Applies a batch of messages and the offsets behind them, all or nothing, exactly once.
--
-- KEYS  1 window (list, newest first)   2 state (hash: epoch, seq, one field a partition with its next offset)
--       3 positions (list beside the window: "field:offset")   4 seen (sorted set: idempotency key by time)
--       5 fence (held while a replay rebuilds the state)
-- ARGV  1 token of the replay that may pass the fence, or ''   2 channel to publish on, or ''
--       3 length of the window   4 an epoch for a state that has none
--       5 the time of the newest message, ms   6 how long keys are kept from then on, ms
--       7 how long a rebuilt state lasts that nobody puts into place, ms
--       8 the time now, ms
--       9 number of partitions, then for each: field, offset the caller expects the state to stand at or '', next offset
--       then the messages in order, for each: number of its partition (from 1), offset, JSON without its closing
--       brace, idempotency key or '', traceparent or ''
--
-- Answers {'applied', epoch, seq, applied, length of the window, messages that the caller must publish},
-- {'fenced'}, or {'rolled-back', number of the partition, ...}.

local holder = fence_holder(KEYS[5], ARGV[8])
if holder and holder ~= ARGV[1] then return {'fenced'} end

local channel, length, newest = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[5])
local partitions = tonumber(ARGV[9])
local fields, stored, behind = {}, {}, {}
for p = 1, partitions do
  local at = 10 + (p - 1) * 3
  fields[p] = ARGV[at]
  local current = redis.call('HGET', KEYS[2], ARGV[at])
  local expected = ARGV[at + 1]
  if expected ~= '' and (not current or tonumber(current) < tonumber(expected)) then
    behind[#behind + 1] = tostring(p)
  end
  stored[p] = tonumber(current or 0)
end
if #behind > 0 then return {'rolled-back', unpack(behind)} end

local epoch = epoch_of(KEYS[2], ARGV[4])

-- Keep what the state has not seen.
local bodies, traces, positions = {}, {}, {}
local kept = 0
for at = 10 + partitions * 3, #ARGV, 5 do
  local p, offset, key = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), ARGV[at + 3]
  if offset >= stored[p] and (key == '' or redis.call('ZADD', KEYS[4], 'NX', newest, key) == 1) then
    kept = kept + 1
    bodies[kept] = ARGV[at + 2]
    traces[kept] = ARGV[at + 4]
    positions[kept] = fields[p] .. ':' .. ARGV[at + 1]
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', newest - tonumber(ARGV[6]))

local seq, unpublished = push(KEYS[1], KEYS[2], KEYS[3], length, channel, bodies, traces, positions)

for p = 1, partitions do
  local next = tonumber(ARGV[10 + (p - 1) * 3 + 2])
  if next > stored[p] then redis.call('HSET', KEYS[2], fields[p], string.format('%d', next)) end
end

-- What a replay builds goes by itself when the replay dies.
if ARGV[1] ~= '' then
  for i = 1, 4 do redis.call('PEXPIRE', KEYS[i], ARGV[7]) end
end
return {'applied', epoch, seq, kept, redis.call('LLEN', KEYS[1]), unpublished}
