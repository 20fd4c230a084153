// Package filestore keeps what a client must not forget in files: how many of the month's calls are used and which calls of
// the last minute still count ([OpenQuota]), and the tokens of an OAuth authorization ([OpenTokens]). Processes of one machine
// share a file, and a restart goes on where the last run ended.
//
//	quota, err := filestore.OpenQuota("/var/lib/myapp/drift.quota", filestore.WithPlan(drift.PlanProfessional))
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
// # What is promised of the count
//
// Every call is on disk before it goes out, one flushed write a call. So the count is never too low after a crash, of the
// process or of the machine, and too high by no more than the calls that were being counted at that moment: one a process.
// A file that is damaged is an error ([ErrCorrupt]), never a count that silently begins again. Where one of its two copies is
// whole, that one counts: an update that was torn by a crash was not finished, so its call had not gone out. If something else
// damaged the newer copy, the count is one too low.
//
// The window of the last minute is written along with it, but not flushed for its own sake. Should a crash of the machine
// damage it, it is taken for a full one, and nothing goes out for a minute. The crash of a process does not harm it.
//
// The file must be on a local file system: the locks and the flushes of network file systems do not keep these promises.
// Beside it lies its lock, a file of the same name with ".lock" at the end. Delete neither while a process uses them.
//
// # Months
//
// A call counts in the month in which it is reserved. The next month begins when the clock shows it. A clock that is set back
// does not bring a month back: the count goes on in the latest month that there was.
//
// A clock that shows another month after a jump of more than 40 days is doubted, and so is the clock when the file was not
// used for so long. Then the old month goes on until a call was sent and not refunded for two minutes: its TLS handshake found
// the server's certificate valid at that time. The next call begins the new month, in which the calls made in doubt count
// as well. If the old month is used up, a single call goes out in doubt. With plain http there is no handshake, and nothing but
// the time that has passed. A file that was made under a clock of the future stays in that month: delete it to begin again.
//
// # The minute
//
// The window is kept by the wall clock, which processes share. Set back, it keeps slots for a minute at most; set forward, it
// gives them back too early, but each process keeps its own calls apart nevertheless. Containers that share the file should
// share their process ids as well: to each, the processes of the others seem to have died, so that calls that are under way
// for more than a minute count no longer than that.
package filestore
