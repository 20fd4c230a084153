package drift

import (
	"cmp"
	"context"
	"errors"
	"hash/maphash"
	"iter"
	"maps"
	"net/url"
	"slices"
	"strconv"

	"github.com/driftsdk/drift/internal/rest"
	"github.com/driftsdk/drift/internal/wire"
)

// maxPage is the largest page size, and the default of List and All.
const maxPage = 100

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
	page, err := rest.List[T](ctx, c.connection(), req.route(), req.input(new(Page[T])), opts)
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
	options.response = nil
	switch {
	case options.err != nil:
		read = failingRead[T](options.err)
	case ctx == nil:
		read = failingRead[T](&ValidationError{Operation: "Paginate", Argument: "ctx", Reason: errNil.Error()})
	case read == nil:
		read = failingRead[T](&ValidationError{Operation: "Paginate", Argument: "read", Reason: errNil.Error()})
	}
	return func(yield func(*T, error) bool) {
		read := func(ctx context.Context, cursor string, _ *Response) (*Page[T], error) { return read(ctx, cursor) }
		newPager(cursor, options, read).run(ctx, yield)
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

// listQuery encodes the options of a list. List and All ask for pages of the same size, because a cursor may be a page
// number.
func listQuery(options any) (url.Values, error) {
	query, err := encodeQuery(options)
	if err != nil {
		return nil, err
	}
	page := options.(listOptions).page()
	if page.limit < 0 || page.limit > maxPage {
		return nil, &ValidationError{Argument: "limit", Reason: "must be 1 to 100, or 0 for 100"}
	}
	query.Set("limit", strconv.Itoa(cmp.Or(page.limit, maxPage)))
	if page.cursor != "" {
		query.Set("next", page.cursor)
	}
	return query, nil
}

// list calls an operation that answers with one page.
func list[T any](
	ctx context.Context, c *caller, route *rest.Route, in rest.Input, opts []CallOption,
) (*Page[T], error) {
	in.Query, in.Err = listQuery(in.Query)
	return readPage[T](ctx, c, route, in, opts)
}

func readPage[T any](
	ctx context.Context, c *caller, route *rest.Route, in rest.Input, opts []CallOption,
) (*Page[T], error) {
	page, err := rest.List[T](ctx, c, route, in, opts)
	return (*Page[T])(page), err
}

// all ranges over the items of every page. Each range works on copies, so that it can be repeated.
func all[T any](
	ctx context.Context, c *caller, route *rest.Route, in rest.Input, opts []CallOption,
) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		c, in := c.with(opts), in
		cursor := in.Query.(listOptions).page().cursor
		query, invalid := listQuery(in.Query)
		in.Query, in.Err = query, invalid
		read := func(ctx context.Context, cursor string, response *Response) (*Page[T], error) {
			in, c := in, c
			if invalid == nil && cursor != "" {
				query := maps.Clone(query)
				query.Set("next", cursor)
				in.Query = query
			}
			if response != c.defaults.response {
				c = c.with([]CallOption{WithResponse(response)})
			}
			return readPage[T](ctx, c, route, in, nil)
		}
		newPager(cursor, c.defaults, read).run(ctx, yield)
	}
}

// pager is the state of one range over a list.
type pager[T any] struct {
	read     pageReader[T]
	response *Response // the caller's, unchanged while the loop body runs
	ahead    *prefetched[T]
	fetches  bool // read one page ahead of the loop

	cursor string // of the page to read next
	seen   map[uint64]struct{}
	seed   maphash.Seed
}

// pageReader reads the page at a cursor and fills response unless that is nil.
type pageReader[T any] func(ctx context.Context, cursor string, response *Response) (*Page[T], error)

func newPager[T any](cursor string, options callOptions, read pageReader[T]) *pager[T] {
	return &pager[T]{read: read, response: options.response, fetches: options.prefetch, cursor: cursor,
		seen: map[uint64]struct{}{}, seed: maphash.MakeSeed()}
}

func (p *pager[T]) run(ctx context.Context, yield func(*T, error) bool) {
	defer p.stop()
	for {
		page, odd, err := p.next(ctx)
		if err != nil {
			yield(nil, &PageError{Cursor: p.cursor, Err: err})
			return
		}
		if !p.yieldPage(ctx, page, odd, yield) || page.Next == "" {
			return
		}
		p.cursor = page.Next
	}
}

// next returns the page at the cursor and the errors of its records, or an error of the whole page.
func (p *pager[T]) next(ctx context.Context) (*Page[T], []*RecordError, error) {
	page, err := p.fetch(ctx)
	odd := RecordErrors(err)
	switch {
	case page != nil && (err == nil || odd != nil):
		return page, odd, nil
	case err == nil:
		err = errNoPage
	}
	return nil, nil, err
}

var errNoPage = errors.New("drift: read returned neither a page nor an error")

// fetch reads the page at the cursor. It rejects a repeated cursor, which would start an endless loop.
func (p *pager[T]) fetch(ctx context.Context) (*Page[T], error) {
	key := p.key(p.cursor)
	if _, again := p.seen[key]; again {
		return nil, ErrCursorLoop
	}
	p.seen[key] = struct{}{}
	if p.ahead != nil {
		return p.join()
	}
	return p.read(ctx, p.cursor, p.response)
}

// key returns a hash of a cursor, which takes less memory than the cursor in a long range.
func (p *pager[T]) key(cursor string) uint64 { return maphash.String(p.seed, cursor) }

// yieldPage yields the items of a page, and each error in its record's place.
func (p *pager[T]) yieldPage(ctx context.Context, page *Page[T], odd []*RecordError, yield func(*T, error) bool) bool {
	slices.SortStableFunc(odd, func(a, b *RecordError) int { return cmp.Compare(a.Index, b.Index) })
	items := page.Items
	for index := 0; len(items)+len(odd) > 0; index++ {
		if index == 1 { // not earlier, because a loop may end after its first item
			p.prefetch(ctx, page.Next)
		}
		var item *T
		var err error
		switch {
		case len(odd) > 0 && (odd[0].Index <= index || len(items) == 0):
			err, odd = odd[0], odd[1:]
		case items[0] == nil:
			err, items = &RecordError{Index: index, Err: errNilItem}, items[1:]
		default:
			item, items = items[0], items[1:]
		}
		if !yield(item, err) {
			return false
		}
	}
	return true
}

const errNilItem = wire.Reason("the item is nil")

// prefetched is a page that is fetched while the loop works on the one before it.
type prefetched[T any] struct {
	cancel   context.CancelFunc
	done     chan struct{}
	page     *Page[T]
	err      error
	response Response
	panicked any
}

func (p *pager[T]) prefetch(ctx context.Context, cursor string) {
	if _, again := p.seen[p.key(cursor)]; again || !p.fetches || cursor == "" {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	ahead := &prefetched[T]{cancel: cancel, done: make(chan struct{})}
	p.ahead = ahead
	var response *Response
	if p.response != nil {
		response = &ahead.response
	}
	go func() {
		defer close(ahead.done)
		defer func() { ahead.panicked = recover() }()
		ahead.page, ahead.err = p.read(ctx, cursor, response)
	}()
}

// join waits for the prefetched page and returns it.
func (p *pager[T]) join() (*Page[T], error) {
	ahead := p.ahead
	p.ahead = nil
	ahead.wait()
	if p.response != nil {
		*p.response = ahead.response
	}
	return ahead.page, ahead.err
}

// stop ends a prefetch that is in progress.
func (p *pager[T]) stop() {
	if p.ahead != nil {
		p.ahead.cancel()
		p.ahead.wait()
	}
}

// wait returns when the goroutine has ended. It repeats a panic of the goroutine, so that the panic reaches the caller
// as it would without prefetching.
func (a *prefetched[T]) wait() {
	<-a.done
	a.cancel()
	if a.panicked != nil {
		panic(a.panicked)
	}
}
