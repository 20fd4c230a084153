-- One call of a store: the window of the last minute and the count of the month, in one step.
--
-- KEYS  1 the state, a hash
--       2 slots in flight, by the time when their lease ends
--       3 slots that were given back, by the time when they become free
--       4 slots in flight that were taken since the last pause, or since the window was created
--       5 calls that the month has counted in the last ten minutes, by time
-- ARGV  1 what to do
--       2 a minute, 3 the margin after a call without an answer
--       4 a generation to use if a new one begins
--       5 the generation that the caller knows, 6 its sequence number, 7 whether that was within two minutes
--       8 the month that the caller knows, 9 its count
--      10 not later than this; 0: no matter when
--      11 the month that it should be, 12 when it begins, 13 when it ends, 14 the plan; 0: the caller does not count
--      15 the slot or the call, and from 16 on what the operation needs
--
-- Times are in microseconds. "wall" is the clock of Redis. "now" is the same clock, except that it stands still when
-- that is set back. A generation ends when something that a caller has seen is gone.
local op, id = ARGV[1], ARGV[15]
local minute, margin = tonumber(ARGV[2]), tonumber(ARGV[3])
local slots, returns, recent, calls = KEYS[2], KEYS[3], KEYS[4], KEYS[5]

local names = {'generation', 'lesson_limit', 'lesson_interval', 'sequence', 'lost', 'first', 'last', 'shift',
	'paused', 'admitted', 'before', 'class0', 'class1', 'learned', 'month', 'ends', 'base', 'since'}
local w = {}
for i, value in ipairs(redis.call('HMGET', KEYS[1], unpack(names))) do
	w[names[i]] = i <= 3 and (value or '0') or tonumber(value or 0)
end

local clock = redis.call('TIME')
local wall = clock[1] * 1000000 + clock[2]
local now = wall + w.shift
if now < w.last then
	w.shift, now = w.shift + w.last - now, w.last
end
w.last = now

local month, ends, plan = tonumber(ARGV[11]), tonumber(ARGV[13]), tonumber(ARGV[14])
if tonumber(ARGV[10]) > 0 and now > tonumber(ARGV[10]) then
	return {'late', now, wall}
elseif month > 0 and (wall < tonumber(ARGV[12]) or wall >= ends) then
	return {'month', now, wall}
elseif month > 0 and month == w.month and ends ~= w.ends then
	return {'zone', now, wall}
end
redis.call('HSET', KEYS[1], 'last', now) -- fails before anything has changed if Redis is full or a replica

if w.generation == '0' then
	w.generation = ARGV[4]
end
if month > w.month then
	w.month, w.ends, w.base, w.since = month, ends, 0, 0
	redis.call('DEL', calls)
end

local function pause(span)
	if w.paused > now then
		w.paused = math.max(w.paused, now + span)
		return
	end
	w.paused, w.before, w.admitted = now + span, w.admitted, 0
	redis.call('DEL', recent)
end

local function used()
	return math.max(0, w.base + w.since)
end

-- What a caller has seen is gone: its count is restored, and the minute counts as used, once in a generation.
if ARGV[5] ~= '' then
	local gone = ARGV[5] ~= w.generation
	if not gone and tonumber(ARGV[6]) > w.sequence then
		gone = true
		w.generation, w.lost, w.base, w.since = ARGV[4], 0, used(), 0
	end
	if gone and tonumber(ARGV[8]) == w.month then
		w.base = math.max(w.base, tonumber(ARGV[9]))
	end
	if gone and w.lost == 0 and ARGV[7] == '1' then
		w.lost = 1
		pause(minute + margin)
	end
end

local over = redis.call('ZRANGEBYSCORE', slots, '-inf', now, 'WITHSCORES')
for i = 1, #over, 2 do
	redis.call('ZADD', returns, over[i + 1] + minute + margin, 'lapsed:' .. over[i])
	redis.call('ZREM', slots, over[i])
	redis.call('SREM', recent, over[i])
end
redis.call('ZREMRANGEBYSCORE', returns, '-inf', now)

local function finish(status)
	local fields = {}
	for _, name in ipairs(names) do
		fields[#fields + 1] = name
		fields[#fields + 1] = w[name]
	end
	redis.call('HSET', KEYS[1], unpack(fields))
	return {status, now, wall, w.generation, w.sequence, w.month, w.ends, used()}
end

local function finish_with_state()
	local reply = finish('state')
	local list, refused, back = redis.call('ZRANGE', returns, 0, -1, 'WITHSCORES'), 0, {}
	for i = 1, #list, 2 do
		refused = refused + (string.sub(list[i], 1, 8) == 'refused:' and 1 or 0)
		back[#back + 1] = list[i + 1] - now
	end
	for _, value in ipairs({redis.call('ZCARD', slots), redis.call('SCARD', recent), w.admitted, w.before, refused,
		w.paused, w.first, w.class0, w.class1, w.lesson_limit, w.lesson_interval, w.learned, back}) do
		reply[#reply + 1] = value
	end
	return reply
end

local function exhausted()
	return plan > 0 and used() >= plan and not redis.call('ZSCORE', calls, id)
end

local function count(n)
	if redis.call('ZADD', calls, 'NX', now, id) == 0 then
		return
	end
	redis.call('ZREMRANGEBYSCORE', calls, '-inf', now - 600000000)
	w.since, w.sequence = w.since + n, w.sequence + 1
end

-- See drift.WindowClaim.
local function allows(claim)
	local idle = now - math.max(w.class0, w.class1)
	if now < w.paused or claim.limit ~= w.lesson_limit or claim.interval ~= w.lesson_interval or
		redis.call('ZCARD', slots) + redis.call('ZCARD', returns) >= claim.capacity or
		now - w[claim.class] < claim.spacing or idle < claim.pace then
		return false
	end
	local ramps = w.first == 0 or now - w.first < minute or now - w.paused < minute
	return not ramps or redis.call('SCARD', recent) <= math.min(w.admitted, claim.in_flight - 1) or
		w.admitted > 0 and idle >= claim.ramp
end

if op == 'take' then
	if ARGV[22] == '1' and exhausted() then
		return finish('quota')
	end
	if not redis.call('ZSCORE', slots, id) then
		local class = 'class' .. ARGV[18]
		if not allows({capacity = tonumber(ARGV[16]), spacing = tonumber(ARGV[17]), class = class, limit = ARGV[19],
			interval = ARGV[20], pace = tonumber(ARGV[23]), ramp = tonumber(ARGV[24]),
			in_flight = tonumber(ARGV[25])}) then
			return finish_with_state()
		end
		redis.call('ZADD', slots, now + ARGV[21], id)
		redis.call('SADD', recent, id)
		w[class], w.sequence = now, w.sequence + 1
		if w.first == 0 then
			w.first = now
		end
	end
	if ARGV[22] == '1' then
		count(1)
	end
	return finish('ok')
elseif op == 'give' then
	local back, name = tonumber(ARGV[16]), id
	if ARGV[17] == '1' then
		name = 'refused:' .. id
	end
	local free = now + back
	if redis.call('ZSCORE', slots, id) then
		if back > 0 then
			redis.call('ZADD', returns, free, name)
		end
		redis.call('ZREM', slots, id)
		if redis.call('SREM', recent, id) == 1 and back > 0 and name == id then
			w.admitted = w.admitted + 1
		end
	elseif redis.call('ZSCORE', returns, 'lapsed:' .. id) then
		if back > 0 then
			redis.call('ZADD', returns, free, name)
		end
		redis.call('ZREM', returns, 'lapsed:' .. id)
	elseif back > 0 and not redis.call('ZSCORE', returns, id) and
		not redis.call('ZSCORE', returns, 'refused:' .. id) then
		redis.call('ZADD', returns, free, name)
	end
	if name == id then
		return finish('ok')
	end
	return finish_with_state()
elseif op == 'hold' then
	redis.call('ZADD', slots, 'NX', now + ARGV[16], id)
	return finish('ok')
elseif op == 'pause' then
	local span = tonumber(ARGV[16])
	if span > 0 then
		pause(span)
	elseif span < 0 then
		w.paused = math.min(w.paused, now)
	end
	if ARGV[17] ~= '0' then
		w.lesson_limit, w.lesson_interval, w.learned = ARGV[17], ARGV[18], math.max(now, w.paused)
	end
	w.sequence = w.sequence + 1
	return finish_with_state()
elseif op == 'reserve' then
	if exhausted() then
		return finish('quota')
	end
	count(tonumber(ARGV[16]))
	return finish('ok')
elseif op == 'refund' then
	if redis.call('ZREM', calls, id) == 1 then
		w.since, w.sequence = w.since - 1, w.sequence + 1
	end
	return finish('ok')
end
return finish_with_state()
