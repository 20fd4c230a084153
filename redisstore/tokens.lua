-- The tokens of one authorization, and their lock.
--
-- KEYS  1 the token and the fencing number, a hash
--       2 the lock, whose value is the number of its holder
-- ARGV  1 what to do
--       2 the number of the caller's lock; to lock, the highest that it has seen
--       3 how long the lock is good, in ms
--       4 the token, or of a lock a text by which a repeated attempt finds itself
--
-- Every lock gets a number, one more than the last. The lock of a dead holder ends by itself. Then its number is still
-- the last, so that what it saves is good, until another one has taken the lock.
local op, number = ARGV[1], ARGV[2]
if op == 'load' then
	return {redis.call('HGET', KEYS[1], 'number') or 0, redis.call('HGET', KEYS[1], 'token') or ''}
elseif op == 'lock' then
	local rest = redis.call('PTTL', KEYS[2])
	if rest > 0 then
		local mine = redis.call('HGET', KEYS[1], 'attempt') == ARGV[4]
		return {mine and tonumber(redis.call('GET', KEYS[2])) or 0, ''}
	end
	local last = tonumber(redis.call('HGET', KEYS[1], 'number') or 0)
	local next = math.max(last, tonumber(number)) + 1
	redis.call('HSET', KEYS[1], 'number', next, 'attempt', ARGV[4])
	redis.call('SET', KEYS[2], next, 'PX', ARGV[3])
	return {next, last}
elseif op == 'unlock' then
	if redis.call('GET', KEYS[2]) == number then
		redis.call('DEL', KEYS[2])
	end
	return {1, ''}
end

local last = redis.call('HGET', KEYS[1], 'number')
if last and last ~= number then
	return {0, ''}
end
if op == 'renew' then
	redis.call('HSET', KEYS[1], 'number', number)
	redis.call('SET', KEYS[2], number, 'PX', ARGV[3])
elseif ARGV[4] == '' then
	redis.call('HSET', KEYS[1], 'number', number)
	redis.call('HDEL', KEYS[1], 'token')
else
	redis.call('HSET', KEYS[1], 'number', number, 'token', ARGV[4])
end
return {1, ''}
