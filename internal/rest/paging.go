package rest

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"net/url"
	"strconv"

	"github.com/driftsdk/drift/internal/wire"
)

// Paging is how an operation cuts its list into pages.
type Paging struct {
	Limit string // the parameter for the size of a page; "": the service decides
	Max   int    // the largest size, and the default

	// Seek adds the cursor to the query; "" means the first page. nil: there is only one page.
	Seek func(query url.Values, cursor string) error

	// Next returns the cursor of the next page, or "" for the last page. nil: there is only one page.
	Next func(*Around) (string, error)
}

// Around is what an answer has around the items of a page.
type Around struct {
	wire.Envelope
	Object wire.Value // the object in the data that has the list; nil if the data are the list
	Count  int        // of the items, including those that do not decode
	Cursor string     // of this page
	Limit  int        // that was asked for
}

// Cursors is the paging of package drift. The next cursor is in pagination.next or in the query of links.next.
var Cursors = Paging{Limit: "limit", Max: 100, Seek: SeekNext, Next: func(a *Around) (string, error) {
	return a.Envelope.Next()
}}

// SeekNext sends the cursor in the parameter next.
func SeekNext(query url.Values, cursor string) error {
	if cursor != "" {
		query.Set("next", cursor)
	}
	return nil
}

// List calls a route that answers with a page. If some elements do not decode, List returns the page together with the
// error into which Call converted their Odd.
func List[T, O any](ctx context.Context, c Caller[O], route *Route, in Input, opts []O) (*Page[T], error) {
	in.paginate()
	return receive(ctx, c, route, opts, &reply[Page[T]]{Input: in, open: openList[T]})
}

// Items is List for a route that answers with all items at once.
func Items[T, O any](ctx context.Context, c Caller[O], route *Route, in Input, opts []O) ([]*T, error) {
	page, err := List[T](ctx, c, route, in, opts)
	if page == nil {
		return nil, err
	}
	return page.Items, err
}

// All ranges over the items of every page. Each range works on copies, so that it can be repeated.
func All[T, O any](ctx context.Context, c Caller[O], route *Route, in Input, opts []O) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		in := in
		if query, err := in.values(); in.Err == nil {
			in.Query, in.Err = query, err // encoded once, so that all pages have the same filters
		}
		read := func(ctx context.Context, c Caller[O], cursor string) (*Page[T], error) {
			in := in
			in.Cursor = cursor
			return List[T](ctx, c, route, in, nil)
		}
		Pages(ctx, c.Range(opts), in.Cursor, read, yield)
	}
}

// paginate adds the size of the page and the cursor to the query.
func (in *Input) paginate() {
	if in.Paging == nil || in.Err != nil {
		return
	}
	query, err := in.values()
	if err == nil {
		query = maps.Clone(query) // a range uses it for every page
		err = in.turnTo(query)
	}
	in.Query, in.Err = query, err
}

func (in *Input) turnTo(query url.Values) error {
	p := in.Paging
	if in.Limit < 0 || in.Limit > p.Max {
		reason := wire.Reason(fmt.Sprintf("must be 1 to %d, or 0 for %[1]d", p.Max))
		return &wire.ArgumentError{Argument: "limit", Reason: reason}
	}
	if p.Limit != "" {
		in.Limit = cmp.Or(in.Limit, p.Max)
		query.Set(p.Limit, strconv.Itoa(in.Limit))
	}
	if p.Seek == nil {
		return nil
	}
	return p.Seek(query, in.Cursor)
}

// values returns the encoded query.
func (in *Input) values() (url.Values, error) {
	switch query := in.Query.(type) {
	case nil:
		return url.Values{}, nil
	case url.Values:
		return query, nil
	default:
		return wire.Query(query)
	}
}
