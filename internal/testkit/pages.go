package testkit

import (
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
)

// PagedContacts is a list of contacts in pages, by cursor.
type PagedContacts struct {
	Pages map[string]ContactPage
	Serve func(*http.Request) // called before each answer, if not nil

	mu      sync.Mutex
	Queries []url.Values
}

// ContactPage is a page of contacts that have nothing but an id.
type ContactPage struct {
	IDs    []int
	Next   string
	Status int // 0: the page is fine
}

func (p *PagedContacts) RoundTrip(req *http.Request) (*http.Response, error) {
	query := req.URL.Query()
	p.mu.Lock()
	p.Queries = append(p.Queries, query)
	p.mu.Unlock()
	if p.Serve != nil {
		p.Serve(req)
	}
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	page, ok := p.Pages[query.Get("next")]
	if !ok {
		return MemoryAnswer(req, http.StatusBadRequest, "application/json", `{"error": "unknown cursor"}`), nil
	}
	if page.Status != 0 {
		return MemoryAnswer(req, page.Status, "application/json", `{}`), nil
	}
	return MemoryAnswer(req, http.StatusOK, "application/json", page.JSON()), nil
}

// JSON is the body of the answer.
func (p ContactPage) JSON() string {
	var items []string
	for _, id := range p.IDs {
		items = append(items, fmt.Sprintf(`{"id": %d}`, id))
	}
	return fmt.Sprintf(`{"data": [%s], "pagination": {"more": %t, "next": %q}}`,
		strings.Join(items, ","), p.Next != "", p.Next)
}

// Requests returns how many pages were asked for.
func (p *PagedContacts) Requests() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.Queries)
}

// Cursors lists the cursors that were asked for.
func (p *PagedContacts) Cursors() (cursors []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, query := range p.Queries {
		cursors = append(cursors, query.Get("next"))
	}
	return cursors
}

// IDsOf returns the ids of contacts.
func IDsOf(contacts []*drift.Contact) (ids []int) {
	for _, contact := range contacts {
		ids = append(ids, int(contact.ID))
	}
	return ids
}

// OddRecords are elements of a list of contacts that do not decode, with the path of what is odd.
var OddRecords = map[string]string{
	`null`: "", `7`: "", `"` + MarkedAnswer + `"`: "", `[]`: "", `[{"id": 1}]`: "", `true`: "", `{}`: "/id", `{"email": "` + MarkedAnswer + `"}`: "/id",
	`{"id": 0}`: "/id", `{"id": "0"}`: "/id", `{"id": -1}`: "/id", `{"id": null}`: "/id", `{"id": [1]}`: "/id",
	`{"id": 2, "created_at": "` + MarkedAnswer + `"}`: "/created_at", `{"id": 2, "tags": [{"id": {}}]}`: "/tags/0/id",
	`{ "custom_attributes" : [ "]}" ] , "id" : 2 }`: "/custom_attributes", `{"id": 2, "labels": [{"a": "\"]"}]}`: "/labels/0",
}

// Yields lists what a sequence of contacts yields: the id of a contact, minus one for the error of a record, minus two
// for another error.
func Yields(t testing.TB, seq iter.Seq2[*drift.Contact, error]) (got []int, errs []error) {
	t.Helper()
	for contact, err := range seq {
		require.NotEqual(t, contact == nil, err == nil)
		switch _, isRecord := err.(*drift.RecordError); {
		case err == nil:
			got = append(got, int(contact.ID))
			continue
		case isRecord:
			got = append(got, -1)
		default:
			got = append(got, -2)
		}
		errs = append(errs, err)
	}
	return got, errs
}
