-- Goes before every script that adds messages to a window.

-- The epoch of a state; one that has none gets this.
local function epoch_of(state, new)
  local epoch = redis.call('HGET', state, 'epoch')
  if epoch then return epoch end
  redis.call('HSET', state, 'epoch', new)
  return new
end

-- Numbers messages (JSON without the closing brace), pushes those that the window will still hold, and publishes all of
-- them unless channel is '': each with the `traceparent` of its trace unless that is '', which who shows it takes off again.
-- Answers the last number, and those that the caller must publish: a server that has no PUBLISH in scripts leaves it to it.
local function push(list, state, places, length, channel, bodies, traces, positions)
  local unpublished = {}
  local function publish(message)
    if #unpublished == 0 then
      local receivers = redis.pcall('PUBLISH', channel, message)
      if type(receivers) == 'number' then return end
    end
    unpublished[#unpublished + 1] = message
  end

  local count = #bodies
  local seq = redis.call('HINCRBY', state, 'seq', count)
  local first = seq - count
  for i = 1, count do
    local number = ',"seq":' .. string.format('%d', first + i) .. '}'
    local member = bodies[i] .. number
    if i > count - length then
      redis.call('LPUSH', list, member)
      if positions then redis.call('LPUSH', places, positions[i]) end
    end
    if channel ~= '' then
      publish(traces[i] == '' and member or bodies[i] .. ',"traceparent":"' .. traces[i] .. '"' .. number)
    end
  end
  if count > 0 then
    redis.call('LTRIM', list, 0, length - 1)
    if positions then redis.call('LTRIM', places, 0, length - 1) end
  end
  return seq, unpublished
end

