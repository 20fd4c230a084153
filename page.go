package drift

import (
	"cmp"
	"context"
	"hash/maphash"
	"iter"
	"maps"
	"net/url"
	"runtime"
	"strconv"

	"github.com/driftsdk/drift/internal/wire"
)

// maxPage is the most items that a page can have, and what All asks for.
const maxPage = 100

// Page is one page of a list.
type Page[T any] struct {
	Items []*T
	Next  string // cursor of the next page, for the options' Cursor; "": this is the last one
}

// Collect reads a sequence of All into a slice, at most max items of it: 0 or less means all. After an error it returns what
// came before, and the error, from which a [*PageError] tells where to resume.
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

// paging is what the options of every list have.
type paging struct {
	limit  int
	cursor string
}

type listOptions interface{ page() paging }

// addTo adds limit and next to the filters, which go along on every page.
func (p paging) addTo(query url.Values) error {
	if p.limit < 0 || p.limit > maxPage {
		return &ValidationError{Argument: "limit", Reason: "must be 1 to 100, or 0 for the default"}
	}
	if p.limit > 0 {
		query.Set("limit", strconv.Itoa(p.limit))
	}
	if p.cursor != "" {
		query.Set("next", p.cursor)
	}
	return nil
}

// list calls an operation that answers with one page.
func list[T any, R record[T]](ctx context.Context, c *caller, op operation, in input, opts []CallOption) (*Page[T], error) {
	query, err := encodeQuery(in.query)
	if err == nil {
		err = in.query.(listOptions).page().addTo(query)
	}
	in.query, in.invalid = query, err
	return readPage[T, R](ctx, c, op, in, opts)
}

func readPage[T any, R record[T]](ctx context.Context, c *caller, op operation, in input, opts []CallOption) (*Page[T], error) {
	page := new(Page[T])
	err := c.call(ctx, op, in, opts, func(body []byte) error {
		envelope, err := wire.Open(body, func(dec *wire.Decoder) error {
			page.Items = nil
			return wire.DecodeList(dec, func(dec *wire.Decoder) error {
				item, err := decodeRecord[T, R](dec)
				page.Items = append(page.Items, item)
				return err
			})
		})
		if envelope.Null {
			page.Items = nil // those of a "data" before it do not count
		}
		if err == nil && (!envelope.Null || envelope.Failed) { // no list at all is an empty one
			err = checkEnvelope(envelope, nil)
		}
		if err == nil {
			page.Next, err = envelope.Next()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return page, nil
}

// all ranges over the items of every page. What a range needs is copied when it starts, so that it can be repeated; nothing
// is sent after it was left.
func all[T any, R record[T]](ctx context.Context, c *caller, op operation, in input, opts []CallOption) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		p := newPager(c.with(opts), op, in, readPage[T, R])
		defer p.stop()
		for {
			page, err := p.read(ctx)
			if err != nil {
				yield(nil, &PageError{Cursor: p.cursor, Err: err})
				return
			}
			for i, item := range page.Items {
				if i == 1 { // the caller has come back for more; a first item may be all that it wants
					p.prefetch(ctx, page.Next)
				}
				if !yield(item, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			p.cursor = page.Next
		}
	}
}

// pager is the state of one range over a list.
type pager[T any] struct {
	caller   *caller
	op       operation
	in       input
	readPage func(context.Context, *caller, operation, input, []CallOption) (*Page[T], error)

	cursor string // of the page that is read next
	seen   map[uint64]struct{}
	seed   maphash.Seed
	ahead  *prefetched[T] // the next page, if it is being fetched
}

func newPager[T any](c *caller, op operation, in input, readPage func(context.Context, *caller, operation, input, []CallOption) (*Page[T], error)) *pager[T] {
	first := in.query.(listOptions).page()
	first.limit = cmp.Or(first.limit, maxPage)
	query, err := encodeQuery(in.query)
	if err == nil {
		err = first.addTo(query)
	}
	in.query, in.invalid = query, err
	return &pager[T]{caller: c, op: op, in: in, readPage: readPage, cursor: first.cursor,
		seen: map[uint64]struct{}{}, seed: maphash.MakeSeed()}
}

// read returns the page at the cursor. A cursor that was read before would begin a loop without an end.
func (p *pager[T]) read(ctx context.Context) (*Page[T], error) {
	key := p.key(p.cursor)
	if _, again := p.seen[key]; again {
		return nil, ErrCursorLoop
	}
	p.seen[key] = struct{}{}
	if p.ahead != nil {
		return p.join()
	}
	return p.fetch(ctx, p.caller, p.cursor)
}

// key stands for a cursor: a long range should not keep them all.
func (p *pager[T]) key(cursor string) uint64 { return maphash.String(p.seed, cursor) }

func (p *pager[T]) fetch(ctx context.Context, c *caller, cursor string) (*Page[T], error) {
	in := p.in
	if in.invalid == nil && cursor != "" {
		query := maps.Clone(p.in.query.(url.Values))
		query.Set("next", cursor)
		in.query = query
	}
	return p.readPage(ctx, c, p.op, in, nil)
}

// prefetched is a page that is fetched while the one before it is worked on.
type prefetched[T any] struct {
	cancel   context.CancelFunc
	done     chan struct{}
	page     *Page[T]
	err      error
	response Response // the caller's own must not change under its hands
	panicked any
}

func (p *pager[T]) prefetch(ctx context.Context, cursor string) {
	if _, again := p.seen[p.key(cursor)]; again || !p.caller.defaults.prefetch || cursor == "" {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	ahead := &prefetched[T]{cancel: cancel, done: make(chan struct{})}
	caller := p.caller.with([]CallOption{WithResponse(&ahead.response)})
	p.ahead = ahead
	go func() {
		defer close(ahead.done)
		defer func() { ahead.panicked = recover() }()
		ahead.page, ahead.err = p.fetch(ctx, caller, cursor)
	}()
}

// join returns the page that was fetched ahead.
func (p *pager[T]) join() (*Page[T], error) {
	ahead := p.ahead
	p.ahead = nil
	ahead.wait()
	if response := p.caller.defaults.response; response != nil {
		*response = ahead.response
	}
	return ahead.page, ahead.err
}

// stop ends what the range has begun.
func (p *pager[T]) stop() {
	if p.ahead != nil {
		p.ahead.cancel()
		p.ahead.wait()
	}
}

// wait returns when the goroutine has ended. A hook that panics there, or ends its goroutine as t.FailNow does, does so to
// the caller, as it would without prefetching.
func (a *prefetched[T]) wait() {
	<-a.done
	a.cancel()
	switch {
	case a.panicked != nil:
		panic(a.panicked)
	case a.page == nil && a.err == nil:
		runtime.Goexit()
	}
}
