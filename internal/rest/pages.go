package rest

import (
	"cmp"
	"context"
	"errors"
	"hash/maphash"
	"slices"
)

// Range is what a range over pages needs of the package that defines the options and errors of calls.
type Range[O any] struct {
	Caller Caller[O] // makes the calls; has the options of the range

	// Ahead returns a caller for a page that is fetched while the loop works on the one before it. The loop calls
	// arrived when it comes to that page. nil: pages are not fetched ahead.
	Ahead func() (c Caller[O], arrived func())

	Loop   error                                // for a repeated cursor
	Failed func(cursor string, err error) error // returns the error that ends the range
	Odd    func(err error) []OddItem            // splits the error that came with a page; nil: the page failed
	Nil    func(index int) error                // returns the error for an item that is nil
}

// OddItem is the error in place of an item.
type OddItem struct {
	Index int // position within its page
	Err   error
}

var errNoPage = errors.New("drift: read returned neither a page nor an error")

// Pages ranges over the items of the pages that read returns, beginning with the page at cursor.
func Pages[T, O any](
	ctx context.Context, r Range[O], cursor string,
	read func(ctx context.Context, c Caller[O], cursor string) (*Page[T], error), yield func(*T, error) bool,
) {
	p := &pager[T, O]{Range: r, read: read, cursor: cursor, seen: map[uint64]struct{}{}, seed: maphash.MakeSeed()}
	p.run(ctx, yield)
}

// pager is the state of one range over a list.
type pager[T, O any] struct {
	Range[O]
	read  func(ctx context.Context, c Caller[O], cursor string) (*Page[T], error)
	ahead *prefetched[T]

	cursor string // of the page to read next
	seen   map[uint64]struct{}
	seed   maphash.Seed
}

func (p *pager[T, O]) run(ctx context.Context, yield func(*T, error) bool) {
	defer p.stop()
	for {
		page, odd, err := p.next(ctx)
		if err != nil {
			yield(nil, p.Failed(p.cursor, err))
			return
		}
		if !p.yieldPage(ctx, page, odd, yield) || page.Next == "" {
			return
		}
		p.cursor = page.Next
	}
}

// next returns the page at the cursor and the errors of its items, or an error of the whole page.
func (p *pager[T, O]) next(ctx context.Context) (*Page[T], []OddItem, error) {
	page, err := p.fetch(ctx)
	odd := p.Odd(err)
	switch {
	case page != nil && (err == nil || odd != nil):
		return page, odd, nil
	case err == nil:
		err = errNoPage
	}
	return nil, nil, err
}

// fetch reads the page at the cursor. It rejects a repeated cursor, which would start an endless loop.
func (p *pager[T, O]) fetch(ctx context.Context) (*Page[T], error) {
	key := p.key(p.cursor)
	if _, again := p.seen[key]; again {
		return nil, p.Loop
	}
	p.seen[key] = struct{}{}
	if p.ahead != nil {
		return p.join()
	}
	return p.read(ctx, p.Caller, p.cursor)
}

// key returns a hash of a cursor, which takes less memory than the cursor in a long range.
func (p *pager[T, O]) key(cursor string) uint64 { return maphash.String(p.seed, cursor) }

// yieldPage yields the items of a page, and each error in its item's place.
func (p *pager[T, O]) yieldPage(
	ctx context.Context, page *Page[T], odd []OddItem, yield func(*T, error) bool,
) bool {
	slices.SortStableFunc(odd, func(a, b OddItem) int { return cmp.Compare(a.Index, b.Index) })
	items := page.Items
	for index := 0; len(items)+len(odd) > 0; index++ {
		if index == 1 { // not earlier, because a loop may end after its first item
			p.prefetch(ctx, page.Next)
		}
		var item *T
		var err error
		switch {
		case len(odd) > 0 && (odd[0].Index <= index || len(items) == 0):
			err, odd = odd[0].Err, odd[1:]
		case items[0] == nil:
			err, items = p.Nil(index), items[1:]
		default:
			item, items = items[0], items[1:]
		}
		if !yield(item, err) {
			return false
		}
	}
	return true
}

// prefetched is a page that is fetched while the loop works on the one before it.
type prefetched[T any] struct {
	cancel   context.CancelFunc
	done     chan struct{}
	arrived  func()
	page     *Page[T]
	err      error
	panicked any
}

func (p *pager[T, O]) prefetch(ctx context.Context, cursor string) {
	if _, again := p.seen[p.key(cursor)]; again || p.Ahead == nil || cursor == "" {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	caller, arrived := p.Ahead()
	ahead := &prefetched[T]{cancel: cancel, done: make(chan struct{}), arrived: arrived}
	p.ahead = ahead
	go func() {
		defer close(ahead.done)
		defer func() { ahead.panicked = recover() }()
		ahead.page, ahead.err = p.read(ctx, caller, cursor)
	}()
}

// join waits for the prefetched page and returns it.
func (p *pager[T, O]) join() (*Page[T], error) {
	ahead := p.ahead
	p.ahead = nil
	ahead.wait()
	ahead.arrived()
	return ahead.page, ahead.err
}

// stop ends a prefetch that is in progress.
func (p *pager[T, O]) stop() {
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
