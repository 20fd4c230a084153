package drift

import (
	"context"
	"iter"

	"github.com/driftsdk/drift/internal/rest"
	"github.com/driftsdk/drift/internal/wire"
)

// Page is one page of a list.
type Page[T any] struct {
	Items []*T
	Next  string // cursor of the next page, for Cursor in the options; "": this is the last page
}

// ListOf reads one page from an endpoint that has no method. [Paginate] turns such pages into a sequence.
//
// T is any JSON type, decoded by the rules of [Client.Do], or a record of this package. A record must have its id. If
// elements do not decode, ListOf returns the page together with an error that has a [*RecordError] for each of them;
// see [RecordErrors]. The answer is a list under "data" or a bare list. The next cursor is pagination.next, or the
// cursor in the query of links.next; ListOf never follows links. Put the cursor and the page size into req.Query, under
// the names that the endpoint uses.
//
// With Raw, the answer must be a bare list, which is the only page. If c was not made by [NewClient], ListOf returns an
// error, as Do does.
func ListOf[T any](ctx context.Context, c *Client, req Request, opts ...CallOption) (*Page[T], error) {
	route, in := req.prepare(new(Page[T]))
	in.Values = true
	if !req.Raw {
		in.Paging = &rest.Paging{Next: rest.Cursors.Next}
	}
	page, err := rest.List[T](ctx, c.connection(), route, in, opts)
	return (*Page[T])(page), err
}

// Paginate returns a sequence like that of All. It gets each page from read, which can call [ListOf] with the cursor in
// the query, for example:
//
//	drift.Paginate(ctx, "", func(ctx context.Context, cursor string) (*drift.Page[Deal], error) {
//		query := url.Values{"limit": {"100"}}
//		if cursor != "" {
//			query.Set("next", cursor)
//		}
//		return drift.ListOf[Deal](ctx, client, drift.Request{Path: "deals", Query: query})
//	})
//
// Paginate calls read first with cursor, where "" means the first page, and then with the Next of each page until that
// is "". It reads nothing before the loop starts or after it ends. Ranging over the sequence again starts at cursor
// again. An error of read ends the sequence with a [*PageError], as do a repeated cursor ([ErrCursorLoop]) and a read
// that returns neither a page nor an error. If read returns a page together with [*RecordError] values and no other
// error, as List and ListOf do, the sequence yields each of them in its record's place and continues.
//
// Only [WithPrefetch] has an effect in opts; pass other options to the calls that read makes. With WithPrefetch, read
// may run on another goroutine, for one page at a time, while the loop works on the previous page. The loop must then
// not access a [Response] that read passes to [WithResponse].
func Paginate[T any](
	ctx context.Context, cursor string,
	read func(ctx context.Context, cursor string) (*Page[T], error), opts ...CallOption,
) iter.Seq2[*T, error] {
	var options callOptions
	options.apply(opts)
	switch {
	case options.err != nil:
		read = failingRead[T](options.err)
	case ctx == nil:
		read = failingRead[T](&ValidationError{Operation: "Paginate", Argument: "ctx", Reason: errNil.Error()})
	case read == nil:
		read = failingRead[T](&ValidationError{Operation: "Paginate", Argument: "read", Reason: errNil.Error()})
	}
	r := newRange(nil)
	if options.prefetch {
		r.Ahead = func() (rest.Caller[CallOption], func()) { return nil, func() {} }
	}
	return func(yield func(*T, error) bool) {
		rest.Pages(ctx, r, cursor,
			func(ctx context.Context, _ rest.Caller[CallOption], cursor string) (*rest.Page[T], error) {
				page, err := read(ctx, cursor)
				return (*rest.Page[T])(page), err
			}, yield)
	}
}

func failingRead[T any](err error) func(context.Context, string) (*Page[T], error) {
	return func(context.Context, string) (*Page[T], error) { return nil, err }
}

// Collect reads at most max items of a sequence of All or [Paginate] into a slice, or all items if max is 0 or less. It
// stops at the first error, even at a [*RecordError], and returns the items before it together with the error. The
// Cursor of a [*PageError] resumes the list. To skip records that do not decode, wrap seq with [SkipRecordErrors].
func Collect[T any](seq iter.Seq2[*T, error], max int) ([]*T, error) {
	if seq == nil {
		return nil, nil
	}
	var items []*T
	for item, err := range seq {
		if err != nil {
			return items, err
		}
		items = append(items, item)
		if len(items) == max {
			break
		}
	}
	return items, nil
}

// SkipRecordErrors returns seq without its [*RecordError] values. It passes each of them to report, on the goroutine of
// the loop, or drops them if report is nil. Other errors stay in the sequence.
func SkipRecordErrors[T any](seq iter.Seq2[*T, error], report func(*RecordError)) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		if seq == nil {
			return
		}
		for item, err := range seq {
			odd, isRecord := err.(*RecordError)
			switch {
			case !isRecord:
				if !yield(item, err) {
					return
				}
			case report != nil:
				report(odd)
			}
		}
	}
}

// paging is the part that the options of all lists share.
type paging struct {
	limit  int
	cursor string
}

type listOptions interface{ page() paging }

// paged adds to an input how the list pages. Its query is the options of the list.
func paged(in rest.Input) rest.Input {
	page := in.Query.(listOptions).page()
	in.Paging, in.Limit, in.Cursor = &rest.Cursors, page.limit, page.cursor
	return in
}

// list calls an operation that answers with one page.
func list[T any](
	ctx context.Context, c *caller, route *rest.Route, in rest.Input, opts []CallOption,
) (*Page[T], error) {
	page, err := rest.List[T](ctx, c, route, paged(in), opts)
	return (*Page[T])(page), err
}

// all ranges over the items of every page.
func all[T any](
	ctx context.Context, c *caller, route *rest.Route, in rest.Input, opts []CallOption,
) iter.Seq2[*T, error] {
	return rest.All[T](ctx, c, route, paged(in), opts)
}

// Range implements rest.Caller.
func (c *caller) Range(opts []CallOption) rest.Range[CallOption] {
	view := c.with(opts)
	r := newRange(view)
	if view.defaults.prefetch {
		r.Ahead = view.ahead
	}
	return r
}

// ahead returns a caller for a page that is fetched ahead. The loop still works on the page before it, so the caller
// fills a Response of its own, which becomes the user's when the loop comes to the page.
func (c *caller) ahead() (caller rest.Caller[CallOption], arrived func()) {
	users := c.defaults.response
	if users == nil {
		return c, func() {}
	}
	response := new(Response)
	return c.with([]CallOption{WithResponse(response)}), func() { *users = *response }
}

func newRange(c rest.Caller[CallOption]) rest.Range[CallOption] {
	return rest.Range[CallOption]{
		Caller: c,
		Loop:   ErrCursorLoop,
		Failed: func(cursor string, err error) error { return &PageError{Cursor: cursor, Err: err} },
		Odd:    oddItems,
		Nil:    func(index int) error { return &RecordError{Index: index, Err: errNilItem} },
	}
}

const errNilItem = wire.Reason("the item is nil")

func oddItems(err error) []rest.OddItem {
	var odd []rest.OddItem
	for _, e := range RecordErrors(err) {
		odd = append(odd, rest.OddItem{Index: e.Index, Err: e})
	}
	return odd
}
