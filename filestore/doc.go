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
// Every call is on disk before it goes out, with one flushed write for each call. After a crash of the process or the
// machine, the count is never too low. It may be too high by the calls that were being counted at that moment: at most
// one for each process.
//
// A damaged file is an error ([ErrCorrupt]); the count never starts over silently. The file holds two copies of the
// count, and one intact copy is enough. If a crash interrupts an update, the other copy is correct, because the call
// had not gone out. If something else damages the newer copy, the count is too low by one.
//
// The window of the last minute is in the same file, but not flushed separately. If a crash of the machine damages it,
// it counts as full, and nothing goes out for a minute. The crash of a process does not damage it.
//
// The file must be on a local file system, because the locks and flushes of network file systems do not keep these
// promises. Its lock is a file beside it, with ".lock" added to the name. Do not delete either while a process uses
// them.
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
// The window uses the wall clock, which all processes share. If the clock is set back, slots stay taken for at most
// another minute. If it is set forward, slots become free too early, but each process still keeps its own calls apart.
// Containers that share the file should also share their process ids. Otherwise each takes the processes of the others
// for dead, and a call of theirs that takes more than a minute counts only for a minute.
package filestore
