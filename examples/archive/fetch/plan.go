package fetch

import (
	"context"
	"math"
	"strings"

	"github.com/driftsdk/drift/examples/archive/store"
)

// Estimate is what a sync will take.
type Estimate struct {
	Conversations int            `json:"conversations"` // all that the service has
	Due           int            `json:"due"`           // of them not archived yet
	Sampled       int            `json:"sampled"`       // whose messages were read, and kept
	Made          int            `json:"calls_made"`    // by the estimate itself
	Calls         map[string]int `json:"calls"`         // that a sync will make, by kind
	Total         int            `json:"calls_total"`
	Lacking       []string       `json:"lacking_scopes,omitempty"` // of the token, if the service says what it allows
	Missing       []string       `json:"missing,omitempty"`        // what could not be read, and why
}

// sampleSize is how many conversations are read for an estimate.
const sampleSize = 100

// Plan estimates a sync: it reads what there is a list of, and the messages of a sample. All of it is kept, so a sync
// does not read it again.
func (f *Fetcher) Plan(ctx context.Context) (*Estimate, error) {
	e := &Estimate{Calls: map[string]int{}}
	scopes, err := f.store.Meta(ctx, "scopes")
	if err != nil {
		return nil, err
	}
	e.Lacking = Scopes(strings.Fields(scopes))
	f.missing = nil
	for _, step := range []func(context.Context) error{f.lookups, f.index, f.accounts} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	sizes, err := f.sizes(ctx)
	if err != nil {
		return nil, err
	}
	messages, files, err := f.sample(ctx, e, sizes)
	if err != nil {
		return nil, err
	}
	if err := f.extrapolate(ctx, e, messages, files); err != nil {
		return nil, err
	}
	e.Made, e.Missing = f.quota.Calls(), f.missing
	return e, f.write(ctx, func(*store.Tx) error { return nil }) // the last calls are counted
}

// sizes are the numbers of messages in conversations. They make an estimate better, because a few conversations have
// most of the messages. nil: not known, all conversations count the same.
type sizes map[int64]int

// sizes asks the service's reports. Not every token may.
func (f *Fetcher) sizes(ctx context.Context) (sizes, error) {
	s := sizes{}
	err := f.reports(ctx, func(r reported) error { s[r.id] = r.messages; return nil })
	if err != nil && isOwn(err) {
		return nil, nil
	}
	return s, err
}

// of adds up how many pages of messages some conversations should have, and how many messages.
func (s sizes) of(conversations []store.Due) (pages, messages float64) {
	if s == nil {
		return float64(len(conversations)), float64(len(conversations))
	}
	const pageSize = 50
	for _, d := range conversations {
		n := float64(s[d.ID] + 1)
		pages, messages = pages+math.Ceil(n/pageSize), messages+n
	}
	return pages, messages
}

// sample archives conversations at random. It returns how many calls the messages of the others should take, and how
// many files they should have.
func (f *Fetcher) sample(ctx context.Context, e *Estimate, s sizes) (calls, files float64, err error) {
	before, err := f.store.Status(ctx)
	if err != nil {
		return 0, 0, err
	}
	e.Conversations = before.Total()
	due, err := f.store.Sample(ctx, sampleSize)
	if err != nil {
		return 0, 0, err
	}
	stage, callsBefore := f.messagesStage(), f.quota.Calls()
	for i, d := range due {
		if err := f.one(ctx, stage, d); err != nil {
			return 0, 0, err
		}
		e.Sampled++
		f.report("sample", i+1, len(due))
	}
	calls = float64(f.quota.Calls() - callsBefore)
	after, err := f.store.Status(ctx)
	if err != nil {
		return 0, 0, err
	}
	e.Due = after.Due["messages"]
	others, err := f.store.Due(ctx, "messages", max(e.Due, 1))
	if err != nil {
		return 0, 0, err
	}
	pages, messages := s.of(others)
	sampledPages, sampledMessages := s.of(due)
	return calls * pages / max(sampledPages, 1),
		float64(after.Due["files"]-before.Due["files"]) * messages / max(sampledMessages, 1), f.firstContacts(ctx)
}

// firstContacts finds out whether the service returns many contacts in one call.
func (f *Fetcher) firstContacts(ctx context.Context) error {
	if !f.wants("contacts") {
		return nil
	}
	works, err := f.store.Meta(ctx, "contacts_batch")
	if err != nil || works != "" {
		return err
	}
	_, err = f.nextContacts(ctx, f.contactsStage())
	return err
}

// extrapolate estimates the calls of a sync from those of the sample.
func (f *Fetcher) extrapolate(ctx context.Context, e *Estimate, messages, files float64) error {
	status, err := f.store.Status(ctx)
	if err != nil {
		return err
	}
	works, err := f.store.Meta(ctx, "contacts_batch")
	if err != nil {
		return err
	}
	contacts := float64(status.Due["contacts"])
	if works == "yes" {
		contacts = math.Ceil(contacts / contactsPerCall)
	}
	for kind, n := range map[string]float64{
		"messages": messages,
		"contacts": contacts,
		"files":    float64(status.Due["files"]) + files,
		"details":  float64(status.Due["details"]),
	} {
		if f.wants(kind) && n > 0 {
			e.Calls[kind] = int(math.Round(n))
			e.Total += e.Calls[kind]
		}
	}
	const lists = 2 // the top of the list of conversations, and the meetings
	e.Calls["lists"] = lists
	e.Total += lists
	return nil
}
