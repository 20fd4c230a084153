package fetch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
	"github.com/driftsdk/drift/examples/archive/store"
)

// Verify compares the archive with the service: the conversations by status, the messages by the counts of reports, and
// deep conversations, chosen at random, message by message. What differs becomes due again.
func (f *Fetcher) Verify(ctx context.Context, deep int) ([]store.Check, error) {
	var checks []store.Check
	for _, check := range []func(context.Context) (store.Check, error){
		f.verifyList,
		f.verifyCounts,
		func(ctx context.Context) (store.Check, error) { return f.verifyContent(ctx, deep) },
	} {
		c, err := check(ctx)
		if err != nil && !isOwn(err) {
			return checks, err
		}
		if err != nil {
			c.OK, c.Result = false, "Not compared: "+err.Error()
		}
		checks = append(checks, c)
	}
	return checks, nil
}

// verifyList compares how many conversations there are in each status. It reads what has changed first, and the
// statistics before and after that: while they change, they prove nothing.
func (f *Fetcher) verifyList(ctx context.Context) (store.Check, error) {
	c := store.Check{Name: "conversations"}
	synced, err := f.store.LastSync(ctx)
	if err != nil {
		return c, err
	}
	if f.known, f.lost = 0, 0; !synced.IsZero() {
		f.known = synced.Add(-f.options.Overlap).UnixMilli()
	}
	var before, after *classic.ConversationStats
	for range 3 {
		if before, err = f.stats(ctx); err != nil {
			return c, err
		}
		if err := f.index(ctx); err != nil {
			return c, err
		}
		if after, err = f.stats(ctx); err != nil {
			return c, err
		}
		if maps.Equal(before.Counts, after.Counts) {
			break
		}
	}
	archived, err := f.store.ByStatus(ctx)
	if err != nil {
		return c, err
	}
	var fewer, more []string
	for _, name := range slices.Sorted(maps.Keys(after.Counts)) {
		there, here := after.Counts[name], archived[strings.ToLower(name)]
		text := fmt.Sprintf("%s: %d in the archive, %d at the service", strings.ToLower(name), here, there)
		if here < there {
			fewer = append(fewer, text)
		} else if here > there {
			more = append(more, text)
		}
	}
	return f.judgeList(ctx, fewer, more)
}

func (f *Fetcher) stats(ctx context.Context) (stats *classic.ConversationStats, err error) {
	err = f.insist(ctx, func(ctx context.Context) (err error) {
		stats, err = f.api.Conversations.Stats(ctx)
		return err
	})
	return stats, err
}

// judgeList judges the numbers. The archive may have more, because it keeps what the service deletes.
func (f *Fetcher) judgeList(ctx context.Context, fewer, more []string) (store.Check, error) {
	c := store.Check{Name: "conversations", OK: true,
		Result: "The archive has as many conversations of each status as the service."}
	if f.lost > 0 {
		c.OK, c.Result = false, fmt.Sprintf("%d conversations were missing. They are listed again, and due.", f.lost)
	}
	switch {
	case len(fewer) > 0:
		c.OK, c.Result = false, strings.Join(append(fewer, more...), "; ")+". The next sync reads the whole list again."
		return c, f.write(ctx, func(tx *store.Tx) error { return tx.ReadAllAgain("conversations") })
	case c.OK && len(more) > 0:
		c.Result = strings.Join(more, "; ") + ". The service has deleted the others."
	}
	return c, nil
}

// counted are the metrics whose sum is the number of messages of a conversation, without notes.
var counted = []string{"numAgentMessages", "numBotMessages", "numEndUserMessages"}

// verifyCounts compares the numbers of messages, month by month. The statistics cannot see that messages are missing.
func (f *Fetcher) verifyCounts(ctx context.Context) (store.Check, error) {
	c := store.Check{Name: "messages"}
	t := new(tally)
	if err := f.reports(ctx, func(r reported) error { return f.tally(ctx, t, r) }); err != nil {
		return c, err
	}
	c.OK = len(t.again) == 0 && t.unknown == 0
	c.Result = fmt.Sprintf("%d conversations have the messages that the service's reports count.", t.equal)
	if t.changed > 0 {
		c.Result += fmt.Sprintf(" %d have changed since the last sync and were not compared.", t.changed)
	}
	if !c.OK {
		c.Result += fmt.Sprintf(" %d have fewer and are due again; %d are not in the archive.", len(t.again), t.unknown)
	}
	return c, f.readAgain(ctx, t.again, t.unknown > 0)
}

// firstPeriod returns the end of the first period. Nobody had conversations before there was the service: a time of then
// is wrong, and would cost a call for every month since.
func firstPeriod(oldest time.Time) time.Time {
	if founded := time.Date(2014, 1, 1, 0, 0, 0, 0, time.UTC); oldest.Before(founded) {
		return founded
	}
	return oldest.AddDate(0, 1, 0)
}

// tally is what a comparison with reports has found.
type tally struct {
	equal, changed, unknown int
	again                   []int64 // conversations with fewer messages
}

// reported is what the service's reports say about a conversation.
type reported struct {
	id, updatedAt int64
	messages      int // without notes
}

// reports reads the reports of all conversations, month by month.
func (f *Fetcher) reports(ctx context.Context, add func(reported) error) error {
	oldest, err := f.store.FirstChange(ctx)
	if err != nil {
		return err
	}
	for from, to := time.Unix(0, 0), firstPeriod(oldest); from.Before(time.Now()); to = to.AddDate(0, 1, 0) {
		report, err := f.reportsOf(ctx, from, to)
		if err != nil {
			return err
		}
		for _, row := range report.Rows {
			if err := add(newReported(row)); err != nil {
				return err
			}
		}
		from = to
	}
	return nil
}

func (f *Fetcher) reportsOf(ctx context.Context, from, to time.Time) (report *classic.Report, err error) {
	err = f.insist(ctx, func(ctx context.Context) (err error) {
		report, err = f.api.Reports.Conversations(ctx, classic.ReportRequest{
			Filters: []classic.ReportFilter{{Property: "updatedAt", Operation: classic.ReportOperationBetween,
				Values: []any{from.UnixMilli(), to.UnixMilli() - 1}}},
			Metrics: append(slices.Clone(counted), "updatedAt"),
		})
		return err
	})
	return report, err
}

func newReported(row classic.ReportRow) reported {
	r := reported{id: int64(row.ConversationID)}
	for i, metric := range row.Metrics {
		n, _ := metric.Int64()
		if i < len(counted) {
			r.messages += int(n)
		} else {
			r.updatedAt = n
		}
	}
	return r
}

func (f *Fetcher) tally(ctx context.Context, t *tally, r reported) error {
	archived, err := f.store.Archived(ctx, r.id)
	if err != nil {
		return err
	}
	switch {
	case archived == nil:
		isForgotten, err := f.store.IsForgottenConversation(ctx, r.id)
		if !isForgotten {
			t.unknown++
		}
		return err
	case archived.IsDue || archived.UpdatedAt < r.updatedAt:
		t.changed++
		return nil
	case archived.Messages < r.messages:
		return f.tallyFewer(ctx, t, r.id)
	}
	t.equal++
	return nil
}

// tallyFewer reads a conversation again if it has fewer messages than the service reports: some may be of a person who
// was forgotten, and some may be odd.
func (f *Fetcher) tallyFewer(ctx context.Context, t *tally, id int64) error {
	isEqual, err := f.isEqual(ctx, id)
	switch {
	case err != nil && !isOwn(err):
		return err
	case errors.Is(err, drift.ErrNotFound): // the service has deleted it
		t.equal++
	case err != nil || !isEqual:
		t.again = append(t.again, id)
	default:
		t.equal++
	}
	return nil
}

func (f *Fetcher) readAgain(ctx context.Context, conversations []int64, all bool) error {
	return f.write(ctx, func(tx *store.Tx) error {
		for _, id := range conversations {
			if err := tx.ReadAgain(id); err != nil {
				return err
			}
		}
		if all {
			return tx.ReadAllAgain("conversations")
		}
		return nil
	})
}

// verifyContent reads conversations again, and compares every message with the archive.
func (f *Fetcher) verifyContent(ctx context.Context, deep int) (store.Check, error) {
	c := store.Check{Name: "content"}
	sample, err := f.store.Complete(ctx, deep)
	if err != nil {
		return c, err
	}
	var different []int64
	for i, d := range sample {
		isEqual, err := f.isEqual(ctx, d.ID)
		if err != nil && !errors.Is(err, drift.ErrNotFound) {
			return c, err
		}
		if err == nil && !isEqual {
			different = append(different, d.ID)
		}
		f.report("comparing", i+1, len(sample))
	}
	c.OK, c.Result = len(different) == 0, fmt.Sprintf("%d conversations were read again and are the same.", len(sample))
	if !c.OK {
		c.Result = fmt.Sprintf("%d of %d conversations that were read again are different. They are due again.",
			len(different), len(sample))
	}
	return c, f.readAgain(ctx, different, false)
}

// isEqual reports whether the archive has every message of a conversation as the service sends it.
func (f *Fetcher) isEqual(ctx context.Context, id int64) (bool, error) {
	archived, err := f.store.Messages(ctx, id)
	if err != nil {
		return false, err
	}
	raws := map[int64]string{}
	for _, m := range archived {
		raws[m.ID] = string(m.Raw)
	}
	for cursor, seen := "", map[string]bool{}; !seen[cursor]; {
		seen[cursor] = true
		page, err := f.messagesPage(ctx, id, cursor)
		if err != nil {
			return false, err
		}
		for _, m := range page.messages {
			if raws[m.ID] == string(m.Raw) {
				continue
			}
			if m.AuthorType == "contact" {
				isForgotten, err := f.store.IsForgottenContact(ctx, m.AuthorID)
				if err != nil {
					return false, err
				}
				if isForgotten {
					continue
				}
			}
			return false, nil
		}
		if cursor = page.next; cursor == "" {
			return true, nil
		}
	}
	return false, drift.ErrCursorLoop
}
