package rest_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/internal/rest"
)

func all(t *testing.T, caller *fake) (got []any) {
	t.Helper()
	for item, err := range rest.All[thing](t.Context(), caller, route, rest.Input{Paging: &rest.Cursors}, nil) {
		if err != nil {
			got = append(got, err.Error())
			continue
		}
		got = append(got, item.ID)
	}
	return got
}

func TestAllReadsPageAfterPage(t *testing.T) {
	caller := answering(`{"data": [{"id": 1}], "pagination": {"next": "b"}}`, `{"data": [], "pagination": {"next": "c"}}`, `[{"id": 2}, 7, {"id": 3}]`)
	assert.Equal(t, []any{int64(1), int64(2), errOdd.Error(), int64(3)}, all(t, caller))
	assert.Len(t, caller.inputs, 3)
}

func TestAllEndsAtARepeatedCursor(t *testing.T) {
	caller := answering(`{"data": [{"id": 1}], "pagination": {"next": "b"}}`)
	assert.Equal(t, []any{int64(1), int64(1), "page at b\na cursor comes twice"}, all(t, caller))
}

func TestAllEndsAtAnError(t *testing.T) {
	caller := &fake{err: errors.New("down")}
	assert.Equal(t, []any{"page at \ndown"}, all(t, caller))
}

func TestARangeCanBeRepeatedAndLeft(t *testing.T) {
	caller := answering(`{"data": [{"id": 1}, {"id": 2}], "pagination": {"next": "b"}}`)
	seq := rest.All[thing](t.Context(), caller, route, rest.Input{Paging: &rest.Cursors}, nil)
	for range 2 {
		for item := range seq {
			assert.EqualValues(t, 1, item.ID)
			break
		}
	}
	assert.Len(t, caller.inputs, 2)
	assert.Empty(t, caller.inputs[1].Cursor, "it begins again")
}

// A page is fetched ahead when the loop asks for the second item, and a loop that is left ends the fetch.
func TestPagesAreFetchedAhead(t *testing.T) {
	r := new(fake).Range(nil)
	arrivals, started := 0, make(chan struct{})
	r.Ahead = func() (rest.Caller[option], func()) { return nil, func() { arrivals++ } }
	read := func(ctx context.Context, _ rest.Caller[option], cursor string) (*rest.Page[thing], error) {
		switch cursor {
		case "":
			return &rest.Page[thing]{Items: []*thing{{ID: 1}, {ID: 2}}, Next: "b"}, nil
		case "b":
			return &rest.Page[thing]{Items: []*thing{{ID: 3}, nil}, Next: "c"}, nil
		}
		close(started)
		<-ctx.Done()
		return nil, ctx.Err()
	}
	var ids []int64
	rest.Pages(t.Context(), r, "", read, func(item *thing, err error) bool {
		if item == nil {
			require.ErrorIs(t, err, errOdd)
			<-started
			return false
		}
		ids = append(ids, item.ID)
		return true
	})
	assert.Equal(t, []int64{1, 2, 3}, ids)
	assert.Equal(t, 1, arrivals)
}

func TestAPanicAheadReachesTheLoop(t *testing.T) {
	r := new(fake).Range(nil)
	r.Ahead = func() (rest.Caller[option], func()) { return nil, func() {} }
	read := func(_ context.Context, _ rest.Caller[option], cursor string) (*rest.Page[thing], error) {
		if cursor != "" {
			panic("broken")
		}
		return &rest.Page[thing]{Items: []*thing{{ID: 1}, {ID: 2}}, Next: "b"}, nil
	}
	assert.PanicsWithValue(t, "broken", func() {
		rest.Pages(t.Context(), r, "", read, func(*thing, error) bool { return true })
	})
}

func TestAReadWithoutPageAndError(t *testing.T) {
	read := func(context.Context, rest.Caller[option], string) (*rest.Page[thing], error) { return nil, nil }
	rest.Pages(t.Context(), new(fake).Range(nil), "", read, func(item *thing, err error) bool {
		assert.Nil(t, item)
		require.ErrorContains(t, err, "neither a page nor an error")
		return true
	})
}
