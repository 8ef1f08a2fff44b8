-- Goes before every script that asks for a fence.
--
-- A fence says who holds it and until when, by the clock of the callers. It could be a key that expires, but a server may
-- write down which scripts were called and call them again when it starts: then they must find what they found before.
local function fence_holder(key, now)
  local fence = redis.call('GET', key)
  if not fence then return nil end
  local token, lapses = string.match(fence, '^(%S+) (%d+)$')
  -- A fence without a time is of an older kboard: a key that expires.
  if not token then return fence end
  if tonumber(lapses) > tonumber(now) then return token end
  return nil
end

