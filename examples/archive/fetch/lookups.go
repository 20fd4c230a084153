package fetch

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
	"github.com/driftsdk/drift/examples/archive/store"
)

// lookup is a list without pages.
type lookup struct {
	kind, operation, scope string
	call                   listCall
	path                   []string // to the list in the answer
	id                     string   // the member that identifies a record
}

// lookupAge is how long the answers of lookups are good for.
const lookupAge = 24 * time.Hour

// lookups reads the lists that are short: once a day, and the meetings in each run, because the service keeps them for
// 30 days only.
func (f *Fetcher) lookups(ctx context.Context) error {
	for _, l := range []lookup{
		{"user", "classic.users.list", scopeUsers, discard(f.api.Users.List), []string{"data"}, "id"},
		{"team", "classic.teams.list", scopeUsers, discard(f.api.Teams.List), []string{"data"}, "id"},
		{"playbook", "classic.playbooks.list", scopePlaybooks, discard(f.api.Playbooks.List), []string{"data"}, "id"},
		{"landing_page", "classic.playbooks.listLandingPages", scopePlaybooks, discard(f.api.Playbooks.ListLandingPages),
			[]string{"data"}, "playbookId"},
		{"contact_attribute", "classic.contacts.listAttributes", scopeAttributes, discard(f.api.Contacts.ListAttributes),
			[]string{"data", "properties"}, "name"},
	} {
		if err := f.daily(ctx, l.kind, func() error { return f.lookup(ctx, l) }); err != nil {
			return err
		}
	}
	now := time.Now()
	return f.meetings(ctx, time.Time{}, now.AddDate(10, 0, 0))
}

// listCall makes a call whose answer is read from its body.
type listCall func(context.Context, ...drift.CallOption) error

func discard[T any](list func(context.Context, ...drift.CallOption) ([]*T, error)) listCall {
	return func(ctx context.Context, opts ...drift.CallOption) error {
		_, err := list(ctx, opts...)
		return err
	}
}

// daily runs a step unless it was done within a day.
func (f *Fetcher) daily(ctx context.Context, kind string, do func() error) error {
	text, err := f.store.Meta(ctx, "read_"+kind)
	if err != nil {
		return err
	}
	at, _ := strconv.ParseInt(text, 10, 64)                                 // "": never
	if age := time.Since(time.UnixMilli(at)); age >= 0 && age < lookupAge { // the clock may have been wrong then
		return nil
	}
	return do()
}

func done(tx *store.Tx, kind string) error {
	return tx.SetMeta("read_"+kind, strconv.FormatInt(time.Now().UnixMilli(), 10))
}

func (f *Fetcher) lookup(ctx context.Context, l lookup) error {
	raws, odd, err := f.list(ctx, l)
	if err != nil || raws == nil {
		return err
	}
	f.report(l.kind+"s", len(raws), len(raws))
	return f.write(ctx, func(tx *store.Tx) error {
		if err := putRecords(tx, l, raws, odd); err != nil {
			return err
		}
		return done(tx, l.kind)
	})
}

// list makes the call of a lookup. It returns nil if the list cannot be had, which it notes.
func (f *Fetcher) list(ctx context.Context, l lookup) ([]json.RawMessage, []*drift.RecordError, error) {
	var response drift.Response
	var odd []*drift.RecordError
	err := f.insist(ctx, func(ctx context.Context) error {
		err := l.call(ctx, drift.WithResponse(&response))
		if odd = drift.RecordErrors(err); odd != nil {
			return nil
		}
		return err
	})
	var raws []json.RawMessage
	if err == nil {
		raws, err = list(response.Body, l.path...)
	}
	switch {
	case err == nil:
		if raws == nil {
			raws = []json.RawMessage{}
		}
		return raws, odd, nil
	case !isOwn(err):
		return nil, nil, err
	case errors.Is(err, drift.ErrForbidden):
		f.denied(l.kind+"s", l.scope, err)
		return nil, nil, nil
	}
	f.miss("%ss: not archived: %v", l.kind, err)
	o := store.Oddity{Operation: l.operation, Subject: "the list", Error: err.Error()}
	if broken := (*brokenError)(nil); errors.As(withBody(err, &response), &broken) {
		o.Raw = rawText(broken.body)
	}
	return nil, nil, f.oddity(ctx, o)
}

// putRecords stores the records of a list. A record without an id is only listed if its kind has ids; otherwise its
// content is its id.
func putRecords(tx *store.Tx, l lookup, raws []json.RawMessage, odd []*drift.RecordError) error {
	if err := tx.ClearOddities(l.operation, "the list"); err != nil {
		return err
	}
	ids := map[string]int{}
	for _, raw := range raws {
		ids[idOf(raw, l.id)]++
	}
	isOdd := map[int]bool{}
	for _, e := range odd {
		isOdd[e.Index] = true
	}
	for i, raw := range raws {
		id := idOf(raw, l.id)
		if id == "" && isOdd[i] {
			continue
		}
		if id != "" && ids[id] > 1 { // one event of a calendar may have several meetings, one playbook several pages
			id += "@" + cmp.Or(idOf(raw, "slotStart"), digest(raw))
		}
		if err := tx.PutRecord(store.Record{
			Kind: l.kind, ID: cmp.Or(id, digest(raw)), FetchedAt: time.Now(), Raw: raw,
		}); err != nil {
			return err
		}
	}
	for _, e := range odd {
		raw := e.Raw()
		subject := fmt.Sprintf("%s %s", l.kind, cmp.Or(idOf(raw, l.id), "without an id"))
		contactID, _ := strconv.ParseInt(idOf(raw, "schedulerId"), 10, 64) // meetings have one
		if err := putOddities(tx, []store.Oddity{{Operation: l.operation, Subject: subject, Error: e.Err.Error(),
			Raw: raw, ContactID: contactID}}); err != nil {
			return err
		}
	}
	return nil
}

func digest(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:8])
}

// meetings reads the meetings of a period. If there are more than one answer can hold, it halves the period.
func (f *Fetcher) meetings(ctx context.Context, from, to time.Time) error {
	call := func(ctx context.Context, opts ...drift.CallOption) error {
		_, err := f.api.Meetings.List(ctx, classic.MeetingListOptions{From: from, To: to}, opts...)
		return err
	}
	l := lookup{"meeting", "classic.meetings.list", scopeUsers, call, []string{"data"}, "eventId"}
	raws, odd, err := f.list(ctx, l)
	if err != nil || raws == nil {
		return err
	}
	if len(raws) >= maxMeetings {
		begin := from
		if begin.IsZero() {
			begin = time.Now().AddDate(0, 0, -31)
		}
		if half := to.Sub(begin) / 2; half > time.Minute {
			middle := begin.Add(half)
			if err := f.meetings(ctx, from, middle); err != nil {
				return err
			}
			return f.meetings(ctx, middle, to)
		}
		f.miss("meetings: more than %d begin within two minutes, and the service lists no more", maxMeetings)
	}
	return f.write(ctx, func(tx *store.Tx) error { return putRecords(tx, l, raws, odd) })
}

// maxMeetings is the largest number of meetings in an answer.
const maxMeetings = 1000

// accounts reads the list of accounts, page by page, once a day.
func (f *Fetcher) accounts(ctx context.Context) error {
	return f.daily(ctx, "account", func() error {
		p, err := f.store.Pass(ctx, "accounts")
		if err != nil {
			return err
		}
		if p.Cursor == nil {
			p.Cursor = new(string)
		}
		seen := map[string]bool{}
		for read := 0; p.Cursor != nil; {
			if seen[*p.Cursor] {
				f.miss("accounts: not all are archived: %v", drift.ErrCursorLoop)
				return nil
			}
			seen[*p.Cursor] = true
			n, err := f.accountsPage(ctx, &p)
			if err != nil || n < 0 {
				return err
			}
			read += n
			f.report("accounts", read, 0)
		}
		return nil
	})
}

// accountsPage reads a page and moves the pass. It returns -1 if the list cannot be had.
func (f *Fetcher) accountsPage(ctx context.Context, p *store.Pass) (int, error) {
	next := ""
	call := func(ctx context.Context, opts ...drift.CallOption) error {
		page, err := f.api.Accounts.List(ctx, classic.AccountListOptions{Cursor: *p.Cursor}, opts...)
		if page != nil {
			next = page.Next
		}
		return err
	}
	l := lookup{"account", "classic.accounts.list", scopeAccounts, call, []string{"data", "accounts"}, "accountId"}
	raws, odd, err := f.list(ctx, l)
	if err != nil || raws == nil {
		return -1, err
	}
	following := overlapped(*p.Cursor, next, len(raws))
	isLast := next == "" || following == *p.Cursor
	if p.Cursor = &following; isLast {
		p.Cursor = nil
	}
	return len(raws), f.write(ctx, func(tx *store.Tx) error {
		if err := putRecords(tx, l, raws, odd); err != nil {
			return err
		}
		if isLast {
			if err := done(tx, "account"); err != nil {
				return err
			}
		}
		return tx.SetPass("accounts", *p)
	})
}
