// Package redisstore keeps a client's state in Redis, so that many machines share one allowance. [Store.Limiter] keeps
// the calls of the last minute, and [Store] itself is the [drift.QuotaStore] that counts those of the month.
// [Store.Tokens] keeps the tokens of an OAuth authorization, and [Store.Dedup] the deliveries of webhooks.
//
//	rdb := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
//	store, err := redisstore.New(rdb,
//		redisstore.WithAccount("acme"), redisstore.WithPlan(drift.PlanProfessional))
//	if err != nil {
//		return err
//	}
//	defer store.Close(ctx) // after the client
//
//	client, err := drift.NewClient(
//		drift.WithToken(token),
//		drift.WithLimiter(store.Limiter(drift.DefaultRateLimit)),
//		drift.WithQuotaStore(store),
//	)
//
// The Redis client can be one of a single server, of Sentinel or of a cluster. All keys of an account begin with
// "drift:{account}:", so they are in one slot of a cluster. All times are those of the clock of Redis.
//
// # What a call costs
//
// One command before the call decides minute and month together, if the client has both from the same store. One after
// it returns the slot, and no call waits for that. A call that waits for a slot asks again when one may be free, and at
// least once a second.
//
// # When Redis is away
//
// If Redis does not answer within 150 ms ([WithTimeout]), the call fails with an [*Error] that matches [ErrAway], and
// nothing is sent. The error is temporary, so the client's retries apply. Until Redis answers again, one caller in a
// while tries, and the others fail at once. With [FallBack], calls go on by a local share in place of that. The context
// of a caller is obeyed at once, whatever Redis does.
//
// A command that Redis gets to see only after its caller has left, for instance after a SIGSTOP, does nothing. If an
// answer is late, what it granted is given back. If the answer is lost with the connection, the command is repeated
// under the same number, and takes nothing twice.
//
// # When Redis loses its data
//
// Each process remembers what it saw last: a generation, a sequence number and the count of the month. If Redis comes
// back empty, or from a file or a replica that lacks the last changes, the first process that notices says so:
//
//   - The minute counts as used: no call of any process goes out for 63 seconds, then one alone, then more.
//   - The month continues from the highest count that any process has seen, plus the calls since.
//   - The token that a process has seen last is restored when it next locks the tokens.
//
// What no process has seen cannot be restored. If Redis and all processes end at the same time, the month starts over,
// and the first minute starts slowly, with one call alone. If Redis loses its data twice before a process makes its
// next call, the calls that others made in between may be missing. Let Redis write to its disk (appendonly yes) to keep
// the count in any case.
//
// Set maxmemory-policy to noeviction: another policy may remove parts of the window.
//
// # Months and clocks
//
// A call counts in the month in which it is reserved, by the clock of Redis and in UTC or the zone of [WithLocation].
// If that clock is set back, the earlier month does not begin again, and slots stay taken for no longer than before. If
// it is set forward, slots become free too early. A replica that may take over should have its clock in step.
//
// # Processes that die
//
// The slot of a process that dies in a call is free a minute and a margin after the timeout of the attempt. A call that
// was counted stays counted: the count of the month is never too low, and too high by at most the calls that were under
// way, or whose refund did not reach Redis.
package redisstore
