package rest_test

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/internal/rest"
	"github.com/driftsdk/drift/internal/wire"
)

func TestListSendsLimitAndCursor(t *testing.T) {
	for _, test := range []struct {
		limit        int
		cursor, want string
	}{{0, "", "a=1&limit=100"}, {7, "b&c", "a=1&limit=7&next=b%26c"}, {100, "", "a=1&limit=100"}} {
		caller := answering(`[]`)
		query := url.Values{"a": {"1"}}
		in := rest.Input{Query: query, Paging: &rest.Cursors, Limit: test.limit, Cursor: test.cursor}
		_, err := rest.List[thing](t.Context(), caller, route, in, nil)
		require.NoError(t, err)
		assert.Equal(t, test.want, caller.inputs[0].Query.(url.Values).Encode())
		assert.Equal(t, url.Values{"a": {"1"}}, query, "the caller's query is left alone")
	}
	for _, limit := range []int{-1, 101} {
		caller := answering(`[]`)
		_, err := rest.List[thing](t.Context(), caller, route, rest.Input{Paging: &rest.Cursors, Limit: limit}, nil)
		require.NoError(t, err, "the caller refuses it")
		var argument *wire.ArgumentError
		require.ErrorAs(t, caller.inputs[0].Err, &argument)
		assert.Equal(t, "limit", argument.Argument)
	}
}

func TestNextCursor(t *testing.T) {
	for body, want := range map[string]string{
		`{"data": [], "pagination": {"more": true, "next": "c"}}`: "c", `{"data": [], "links": {"next": "https://x.example/?next=d%26e"}}`: "d&e",
		`{"data": []}`: "", `[]`: "", `{"data": [], "pagination": {"more": false, "next": "c"}}`: "",
	} {
		page, err := rest.List[thing](t.Context(), answering(body), route, rest.Input{Paging: &rest.Cursors}, nil)
		require.NoError(t, err)
		assert.Equal(t, want, page.Next, body)
	}
}

// What a Next of an operation's own gets.
func TestAround(t *testing.T) {
	var around rest.Around
	paging := rest.Paging{Limit: "size", Max: 9, Next: func(a *rest.Around) (string, error) { around = *a; return "n", nil }}
	in := rest.Input{At: "items", Paging: &paging, Cursor: "c"}
	page, err := rest.List[thing](t.Context(), answering(`{"data": {"items": [{"id": 1}, 7], "total": 3}}`), route, in, nil)
	require.ErrorAs(t, err, new(rest.Odd))
	assert.Equal(t, "n", page.Next)
	assert.Equal(t, []any{2, "c", 9}, []any{around.Count, around.Cursor, around.Limit})
	assert.JSONEq(t, `{"items": [{"id": 1}, 7], "total": 3}`, string(around.Object))
}
