package rest_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/internal/rest"
)

func idsOf(things []*thing) (ids []int64) {
	for _, item := range things {
		ids = append(ids, item.ID)
	}
	return ids
}

// Where a list may be, by the input of its operation.
func TestListShapes(t *testing.T) {
	for _, test := range []struct {
		in   rest.Input
		body string
		want []int64 // nil: an error
	}{
		{rest.Input{}, `{"data": [{"id": 1}, {"id": 2}]}`, []int64{1, 2}},
		{rest.Input{}, `[{"id": 1}]`, []int64{1}},
		{rest.Input{}, `{"data": [{"id": 9}], "data": [{"id": 1}]}`, []int64{1}},
		{rest.Input{}, `{"data": {"id": 1}}`, nil},
		{rest.Input{}, `{"error": "no", "data": []}`, nil},
		{rest.Input{Single: true}, `{"data": {"id": 1}}`, []int64{1}},
		{rest.Input{Keyed: true}, `{"data": {"1": {"id": 1}, "2": {"id": 2}}}`, []int64{1, 2}},
		{rest.Input{Keyed: true}, `[{"id": 1}]`, []int64{1}},
		{rest.Input{At: "items"}, `{"data": {"items": [{"id": 1}], "next": 2}}`, []int64{1}},
		{rest.Input{At: "items"}, `{"items": [{"id": 1}]}`, []int64{1}},
		{rest.Input{At: "items"}, `{"data": [{"id": 1}]}`, []int64{1}},
		{rest.Input{At: "items"}, `{"data": {"items": null}}`, []int64{}},
		{rest.Input{At: "items"}, `{"data": {}}`, nil},
		{rest.Input{At: "items", Sparse: true}, `{"data": {}}`, []int64{}},
		{rest.Input{Bare: true}, `{"data": [{"id": 1}]}`, nil},
		{rest.Input{Bare: true}, `[{"id": 1}]`, []int64{1}},
	} {
		items, err := rest.Items[thing](t.Context(), answering(test.body), route, test.in, nil)
		if test.want == nil {
			require.Error(t, err, test.body)
			continue
		}
		require.NoError(t, err, test.body)
		assert.ElementsMatch(t, test.want, idsOf(items), test.body)
	}
}

func TestOddElements(t *testing.T) {
	items, err := rest.Items[thing](t.Context(), answering(`[7, {"id": 1}, {"id": "x"}, null]`), route, rest.Input{}, nil)
	assert.Equal(t, []int64{1}, idsOf(items))
	var odd rest.Odd
	require.ErrorAs(t, err, &odd)
	require.Len(t, odd, 3)
	assert.Equal(t, []int{0, 2, 3}, []int{odd[0].Index, odd[1].Index, odd[2].Index})
	assert.JSONEq(t, `{"id": "x"}`, string(odd[1].Raw))
	assert.Equal(t, "/id", odd[1].Err.Path)
}

func TestTooManyOddElements(t *testing.T) {
	body := "[" + strings.Repeat("7,", 10_000) + "7]"
	_, err := rest.Items[thing](t.Context(), answering(body), route, rest.Input{}, nil)
	require.Error(t, err)
	assert.False(t, errors.As(err, new(rest.Odd)), "the page as a whole fails")
}

func TestValuesOfAnyType(t *testing.T) {
	numbers, err := rest.Items[int](t.Context(), answering(`[1, 2]`), route, rest.Input{Values: true}, nil)
	require.NoError(t, err)
	assert.Equal(t, 2, *numbers[1])
	_, err = rest.Items[int](t.Context(), answering(`[null]`), route, rest.Input{Values: true}, nil)
	require.ErrorAs(t, err, new(rest.Odd))
	pointers, err := rest.Items[*int](t.Context(), answering(`[null]`), route, rest.Input{Values: true}, nil)
	require.NoError(t, err)
	assert.Nil(t, *pointers[0])
}
