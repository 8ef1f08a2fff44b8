-- Takes or renews the fence of a projection for one replay, and keeps what it has built so far from expiring.
--
-- KEYS  1 fence   2-5 the rebuilt window, state, positions, seen
-- ARGV  1 token of the replay   2 how long the fence lasts, ms   3 'take' or 'renew'   4 how long the rest lasts, ms
-- Answers 1, or 0 when another replay holds the fence, or, to one that renews it, when it has lapsed.

local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
if not holder and ARGV[3] == 'renew' then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
for i = 2, 5 do redis.call('PEXPIRE', KEYS[i], ARGV[4]) end
return 1
