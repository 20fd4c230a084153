// Package filestore keeps a client's state in files. [OpenQuota] keeps the count of the month's calls, and the calls of
// the last minute that still count. [OpenTokens] keeps the tokens of an OAuth authorization. All processes of a machine
// can share a file, and a new run continues where the last one ended.
//
//	path, plan := "/var/lib/myapp/drift.quota", filestore.WithPlan(drift.PlanProfessional)
//	quota, err := filestore.OpenQuota(path, plan)
//	if err != nil {
//		return err
//	}
//	defer quota.Close()
//
//	client, err := drift.NewClient(
//		drift.WithToken(token),
//		drift.WithQuotaStore(quota),
//		drift.WithLimiter(quota.Limiter(drift.DefaultRateLimit)),
//	)
//
// # The count
//
// Every call is on disk before it goes out, with one flushed write for each call. With the limiter of the same quota,
// that write is part of taking a slot. After a crash of the process or the machine, the count is never too low. A call
// counts from then on, and its headers are written later. So after a crash the count may be too high by the calls that
// were between these two moments: at most one for each goroutine that was making a call.
//
// A damaged file is an error ([ErrCorrupt]); the count never starts over silently. The file holds two copies of the
// count, and one intact copy is enough. As the damaged one may have been one call ahead, the count is then one more. It
// may be too high by one, and again is never too low.
//
// The window of the last minute is in the same file, but not flushed separately. If a crash of the machine damages it,
// it counts as full, and nothing goes out for 63 seconds. The crash of a process does not damage it.
//
// The file must be on a local file system, because the locks and flushes of network file systems do not keep these
// promises. Its lock is a file beside it, with ".lock" added to the name. Do not delete either while a process uses
// them. A process that is stopped while it holds the lock, for example in a debugger, holds up the others until their
// contexts end; the error then names the file, and [WithLogger] logs it after three seconds.
//
// # Settings
//
// The file keeps the plan, the time zone and the number of calls a minute. A process that uses another one is refused
// with [ErrSettings]: with another time zone, a month that is used up might begin again. To change a setting on
// purpose, open the file once with [WithChangedSettings].
//
// A file of version 1, which the package wrote before it kept settings, is converted: the count continues, and the
// window counts as full for 63 seconds. Programs of that version then fail with [ErrVersion].
//
// # Months
//
// A call counts in the month in which it is reserved. The next month begins when the clock shows it. If the clock is
// set back, the earlier month does not begin again: the store continues to count in the latest month.
//
// The store does not trust the clock at once if it shows another month after a jump of more than 40 days, or if the
// file was unused for that long. The old month then continues until a call has been sent and not refunded for two
// minutes: the TLS handshake of that call found the server's certificate valid at the clock's time. The next call
// begins the new month, and the calls made in between count in it as well. If the old month is used up, the store
// allows one such call. With plain http there is no handshake, so the two minutes alone decide. A file that was created
// while the clock was in the future stays in that month: delete it to start over.
//
// # The minute
//
// The window uses the wall clock, which all processes share. Each process keeps its own slots by the monotonic clock
// and puts them right in the file, so a clock that is set forward frees only slots of processes that make no calls at
// that time. If the clock is set back, slots stay taken for at most another 63 seconds.
//
// The slots of a process that has died become free 63 seconds after another process notices. Containers that share the
// file need not share their process ids: a slot of a process that cannot be seen stays taken until the timeout of its
// attempt and 63 seconds have passed, and longer if the process says so.
package filestore
