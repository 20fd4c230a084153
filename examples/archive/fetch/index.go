package fetch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
	"github.com/driftsdk/drift/examples/archive/store"
)

const (
	conversationsList = "classic.conversations.list"

	theList = "the list of conversations"

	// maxPasses is how often the list is read if it keeps changing faster than one answer shows.
	maxPasses = 10

	// maxRestarts is how often a pass begins again because the service refuses a cursor.
	maxRestarts = 3

	// proof is how many records below a floor prove that a page has reached it. One or two may just have a wrong time.
	proof = 3
)

// index reads the list of conversations, which is the last changed first, from the top down to what the archive already
// has. While it reads, conversations move to the top. So it reads again until one answer shows everything that has
// changed since the pass before began. A pass that an earlier run began proves nothing about this one.
func (f *Fetcher) index(ctx context.Context) error {
	if err := f.write(ctx, func(tx *store.Tx) error { return tx.ClearOddities(conversationsList, theList) }); err != nil {
		return err
	}
	for range maxPasses {
		isSettled, err := f.pass(ctx)
		if err != nil && isOwn(err) && !errors.Is(err, drift.ErrForbidden) {
			return f.abandon(ctx, err)
		}
		if isSettled || err != nil {
			return f.unlessDenied(err, "conversations", scopeConversations)
		}
	}
	return f.oddity(ctx, store.Oddity{Operation: conversationsList, Subject: theList,
		Error: "it changed faster than it could be read; run archive sync again"})
}

// pass reads the list down to the floor once. It reports whether a single answer, asked for in this run, reached below
// the watermark.
func (f *Fetcher) pass(ctx context.Context) (isSettled bool, err error) {
	p, err := f.store.Pass(ctx, "conversations")
	if err != nil {
		return false, err
	}
	if p.Cursor == nil {
		top := ""
		p.Cursor, p.Floor = &top, max(0, p.Watermark-f.options.Overlap.Milliseconds())
	}
	read, restarts, watermark, seen := 0, 0, p.Watermark, map[string]bool{}
	for p.Cursor != nil {
		cursor := *p.Cursor
		seen[cursor] = true
		isTop := cursor == ""
		page, err := f.conversationsPage(ctx, cursor)
		if !isTop && isRefused(err) && restarts < maxRestarts {
			*p.Cursor, read, seen = "", 0, map[string]bool{} // tokens expire
			restarts++
			continue
		}
		if err != nil {
			return false, err
		}
		if isTop {
			p.High, isSettled = page.high(), page.next == "" || page.below(watermark)
		}
		if page.next == "" || page.below(p.Floor) {
			p.Watermark, p.Cursor = max(p.Watermark, p.High), nil
		} else {
			next := overlapped(cursor, page.next, len(page.conversations))
			if p.Cursor = &next; seen[next] {
				p.Cursor, isSettled = nil, true // the watermark stays: the next run begins from the top
				page.odd = append(page.odd, store.Oddity{Operation: conversationsList, Subject: theList,
					Error: drift.ErrCursorLoop.Error()})
			}
		}
		if err := f.write(ctx, func(tx *store.Tx) error { return f.putIndex(tx, page, p) }); err != nil {
			return false, err
		}
		read += len(page.conversations)
		f.report("conversations", read, 0)
	}
	return isSettled, nil
}

// abandon ends a pass at a page that cannot be read, so that what the list has shown so far is archived. The next run
// begins from the top.
func (f *Fetcher) abandon(ctx context.Context, cause error) error {
	f.miss("conversations: the list was not read to its end: %v", cause)
	o := store.Oddity{Operation: conversationsList, Subject: theList, Error: cause.Error()}
	if broken := (*brokenError)(nil); errors.As(cause, &broken) {
		o.Raw = rawText(broken.body)
	}
	p, err := f.store.Pass(ctx, "conversations")
	if err != nil {
		return err
	}
	p.Cursor = nil
	return f.write(ctx, func(tx *store.Tx) error {
		return errors.Join(putOddities(tx, []store.Oddity{o}), tx.SetPass("conversations", p))
	})
}

// isRefused reports whether the service does not accept a cursor.
func isRefused(err error) bool {
	return errors.Is(err, drift.ErrInvalid) || errors.Is(err, drift.ErrNotFound)
}

// indexPage is a page of the list of conversations.
type indexPage struct {
	conversations []store.Conversation
	odd           []store.Oddity
	next          string
	now           time.Time // at the service, as far as known
	seen          map[int64]string
}

func (f *Fetcher) conversationsPage(ctx context.Context, cursor string) (*indexPage, error) {
	var response drift.Response
	var page *drift.Page[classic.Conversation]
	err := f.insist(ctx, func(ctx context.Context) (err error) {
		page, err = f.api.Conversations.List(ctx, classic.ConversationListOptions{Cursor: cursor},
			drift.WithResponse(&response))
		if drift.RecordErrors(err) != nil {
			return nil
		}
		return err
	})
	if err != nil {
		return nil, withBody(err, &response)
	}
	raws, err := list(response.Body, "data")
	if err != nil {
		return nil, withBody(err, &response)
	}
	read := &indexPage{next: page.Next, now: time.Now(), seen: map[int64]string{}}
	if date, err := http.ParseTime(response.Header.Get("Date")); err == nil && date.After(read.now) {
		read.now = date.Add(time.Second) // the clock of this machine is late, and Date has whole seconds
	}
	for _, raw := range raws {
		read.add(raw)
	}
	return read, nil
}

func (p *indexPage) add(raw json.RawMessage) {
	c, dropped, err := decode(raw, conversationID)
	if err != nil {
		p.odd = append(p.odd, store.Oddity{Operation: conversationsList, Subject: "a conversation without an id",
			Error: err.Error(), Raw: raw})
		return
	}
	if dropped != nil {
		p.odd = append(p.odd, store.Oddity{Operation: conversationsList, Subject: conversation(int64(c.ID)),
			Error: notDecoded(dropped), Raw: raw, ContactID: int64(c.ContactID)})
	}
	if before, isTwice := p.seen[int64(c.ID)]; isTwice && before != string(raw) {
		p.odd = append(p.odd, store.Oddity{Operation: conversationsList, Subject: conversation(int64(c.ID)),
			Error: errTwice, Raw: json.RawMessage(before), ContactID: int64(c.ContactID)})
	}
	p.seen[int64(c.ID)] = string(raw)
	p.conversations = append(p.conversations, store.Conversation{
		ID: int64(c.ID), Status: string(c.Status), ContactID: int64(c.ContactID), InboxID: int64(c.InboxID),
		CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt, Raw: raw,
	})
}

// errTwice is why an oddity has the content of a record that another one replaced.
const errTwice = "the answer has this record twice, with different content"

func conversation(id int64) string { return fmt.Sprintf("conversation %d", id) }

func notDecoded(fields []string) string {
	return "these fields do not decode: " + strings.Join(fields, ", ")
}

// high returns the last change on the page. A time in the future is wrong, and would hide all later changes.
func (p *indexPage) high() (high int64) {
	for _, c := range p.conversations {
		if !c.UpdatedAt.IsZero() && !c.UpdatedAt.After(p.now) {
			high = max(high, c.UpdatedAt.UnixMilli())
		}
	}
	return high
}

// below reports whether the page reaches below an instant.
func (p *indexPage) below(instant int64) bool {
	n := 0
	for _, c := range p.conversations {
		if !c.UpdatedAt.IsZero() && c.UpdatedAt.UnixMilli() < instant {
			n++
		}
	}
	return n > 0 && n >= min(proof, len(p.conversations))
}

func (f *Fetcher) putIndex(tx *store.Tx, page *indexPage, p store.Pass) error {
	for _, c := range page.conversations {
		if err := tx.ClearOddities(conversationsList, conversation(c.ID)); err != nil {
			return err
		}
		if !c.UpdatedAt.IsZero() && c.UpdatedAt.UnixMilli() < f.known {
			lacks, err := tx.Lacks(c)
			if err != nil {
				return err
			}
			if lacks {
				f.lost++
			}
		}
		if err := tx.PutConversation(c); err != nil {
			return err
		}
	}
	if err := putOddities(tx, page.odd); err != nil {
		return err
	}
	return tx.SetPass("conversations", p)
}

// goBack is how many records a page that is counted from the top repeats, because records may have been deleted since
// the page before.
const goBack = 20

// overlapped returns a cursor of the next page. Most cursors are opaque and returned as they are. If the cursor turns
// out to be the number of records read so far, the next page begins a little earlier.
func overlapped(cursor, next string, read int) string {
	prefix, number := splitNumber(next)
	_, before := splitNumber(cursor)
	if number == 0 || number-before != read || read <= 2*goBack {
		return next
	}
	return prefix + strconv.Itoa(number-goBack)
}

// splitNumber splits off the number at the end of a cursor; 0 if there is none.
func splitNumber(cursor string) (prefix string, number int) {
	prefix = strings.TrimRight(cursor, "0123456789")
	number, _ = strconv.Atoi(cursor[len(prefix):])
	return prefix, number
}

func putOddities(tx *store.Tx, odd []store.Oddity) error {
	for _, o := range odd {
		o.SeenAt = time.Now()
		if err := tx.PutOddity(o); err != nil {
			return err
		}
	}
	return nil
}

func (f *Fetcher) oddity(ctx context.Context, o store.Oddity) error {
	return f.write(ctx, func(tx *store.Tx) error { return putOddities(tx, []store.Oddity{o}) })
}

// unlessDenied turns a missing scope into a note, so that the sync goes on with what the token allows.
func (f *Fetcher) unlessDenied(err error, stage, scope string) error {
	if errors.Is(err, drift.ErrForbidden) && isOwn(err) {
		f.denied(stage, scope, err)
		return nil
	}
	return err
}
