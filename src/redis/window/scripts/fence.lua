-- Takes or renews the fence of a projection for one replay, and keeps what it has built so far from expiring.
--
-- KEYS  1 fence   2… what is rebuilt, as far as it is to expire
-- ARGV  1 token of the replay   2 the time now, ms   3 when the fence lapses, ms   4 'take' or 'renew'
--       5 how long the rest lasts, ms
-- Answers 1, or 0 when another replay holds the fence, or, to one that renews it, when it has lapsed.

local holder = fence_holder(KEYS[1], ARGV[2])
if holder and holder ~= ARGV[1] then return 0 end
if not holder and ARGV[4] == 'renew' then return 0 end
-- It is gone some time after it has lapsed.
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[3], 'PX', string.format('%d', ARGV[3] - ARGV[2] + ARGV[5]))
for i = 2, #KEYS do redis.call('PEXPIRE', KEYS[i], ARGV[5]) end
return 1
