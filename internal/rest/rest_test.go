package rest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/internal/rest"
	"github.com/driftsdk/drift/internal/wire"
)

var (
	route  = &rest.Route{Name: "tests.call", Method: http.MethodGet, Path: "things/{id}"}
	errOdd = errors.New("some records do not decode")
)

// thing is a record with an id.
type thing struct {
	ID   int64  `json:"id" wire:"id"`
	Name string `json:"name"`
}

// option is an option of a call. The fake needs none.
type option struct{}

// fake is a caller that answers each call with the next body, or with an error. It keeps the inputs.
type fake struct {
	bodies      []string
	contentType string
	err         error
	inputs      []rest.Input
}

func (f *fake) Call(_ context.Context, _ *rest.Route, in *rest.Input, _ []option, decode func(rest.Answer) error) error {
	f.inputs = append(f.inputs, *in)
	if f.err != nil || decode == nil {
		return f.err
	}
	body := f.bodies[min(len(f.inputs), len(f.bodies))-1]
	return decode(rest.Answer{Header: http.Header{"Content-Type": {f.contentType}}, Body: []byte(body)})
}

func (f *fake) Range([]option) rest.Range[option] {
	return rest.Range[option]{
		Caller: f,
		Loop:   errors.New("a cursor comes twice"),
		Failed: func(cursor string, err error) error { return errors.Join(errors.New("page at "+cursor), err) },
		Odd: func(err error) (items []rest.OddItem) {
			var odd rest.Odd
			if errors.As(err, &odd) {
				for _, o := range odd {
					items = append(items, rest.OddItem{Index: o.Index, Err: errOdd})
				}
			}
			return items
		},
		Nil: func(int) error { return errOdd },
	}
}

func answering(bodies ...string) *fake { return &fake{bodies: bodies, contentType: "application/json"} }

func TestOne(t *testing.T) {
	for _, body := range []string{`{"data": {"id": 7, "name": "a"}}`, `{"id": "7", "name": "a"}`} {
		got, err := rest.One[thing](t.Context(), answering(body), route, rest.Input{}, nil)
		require.NoError(t, err)
		assert.Equal(t, &thing{7, "a"}, got)
	}
	failing := &fake{err: io.ErrUnexpectedEOF}
	_, err := rest.One[thing](t.Context(), failing, route, rest.Input{}, nil)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	assert.True(t, failing.inputs[0].Required, "nil without an error must not happen")
}

func TestFirst(t *testing.T) {
	got, err := rest.First[thing](t.Context(), answering(`{"data": [{"id": 7}, {"id": 8}, "no record"]}`), route, rest.Input{}, nil)
	require.NoError(t, err)
	assert.EqualValues(t, 7, got.ID)
	_, err = rest.First[thing](t.Context(), answering(`{"data": []}`), route, rest.Input{}, nil)
	require.ErrorIs(t, err, rest.ErrNoRecord)
}

func TestLast(t *testing.T) {
	in := rest.Input{At: "messages"}
	for body, id := range map[string]int64{
		`{"data": {"id": 7}}`: 7, `{"data": {"messages": ["no record", {"id": 8}]}}`: 8, `{"messages": [{"id": 9}]}`: 9, `[{"id": 10}]`: 10,
	} {
		got, err := rest.Last[thing](t.Context(), answering(body), route, in, nil)
		require.NoError(t, err, body)
		assert.Equal(t, id, got.ID)
	}
	for _, body := range []string{`{"data": {"messages": []}}`, `{"data": []}`} {
		_, err := rest.Last[thing](t.Context(), answering(body), route, in, nil)
		require.ErrorIs(t, err, rest.ErrNoData, body)
	}
}

func TestNone(t *testing.T) {
	require.NoError(t, rest.None(t.Context(), answering(`broken`), route, rest.Input{}, nil))
}

func TestOK(t *testing.T) {
	for _, body := range []string{``, `{"result": "OK", "ok": true}`, `{"ok": null}`, `<html>`, `{"ok": "yes"}`, `[1`} {
		require.NoError(t, rest.OK(t.Context(), answering(body), route, rest.Input{}, nil), body)
	}
	for _, body := range []string{`{"ok": false}`, `{"OK": "false"}`, `{"error": "no"}`, `{"errors": ["no"]}`} {
		require.ErrorIs(t, rest.OK(t.Context(), answering(body), route, rest.Input{}, nil), rest.ErrReported, body)
	}
}

func TestRaw(t *testing.T) {
	for body, want := range map[string]string{`{"data": [1, {"a": 2}]}`: `[1, {"a": 2}]`, `{"lines": 1}`: `{"lines": 1}`, `"a"`: `"a"`} {
		got, err := rest.Raw(t.Context(), answering(body), route, rest.Input{}, nil)
		require.NoError(t, err)
		assert.Equal(t, want, string(got))
	}
	got, err := rest.Raw(t.Context(), answering(`{"data": [NaN], "count": 1}`), route, rest.Input{Bare: true, NaN: true}, nil)
	require.NoError(t, err)
	assert.JSONEq(t, `{"data": [null], "count": 1}`, string(got))
}

func TestPlainText(t *testing.T) {
	caller := &fake{bodies: []string{`{"data": "a"}`}, contentType: "text/plain"}
	text, err := rest.PlainText(t.Context(), caller, route, rest.Input{}, nil)
	require.NoError(t, err)
	assert.Equal(t, `{"data": "a"}`, text)
	assert.Equal(t, rest.AnyContent, caller.inputs[0].Accept)
	for body, want := range map[string]string{`{"data": "a"}`: "a", `"a"`: "a", `{"lines": 1}`: `{"lines": 1}`, `no JSON`: `no JSON`} {
		text, err := rest.PlainText(t.Context(), answering(body), route, rest.Input{}, nil)
		require.NoError(t, err)
		assert.Equal(t, want, text)
	}
}

func TestStream(t *testing.T) {
	caller := answering(`any`)
	require.NoError(t, rest.Stream(t.Context(), caller, route, rest.Input{}, io.Discard, nil))
	in := caller.inputs[0]
	assert.Equal(t, []any{io.Discard, true, rest.AnyContent}, []any{in.Writer, in.Resume, in.Accept})
	require.NoError(t, rest.Stream(t.Context(), caller, route, rest.Input{}, nil, nil))
	var argument *wire.ArgumentError
	require.ErrorAs(t, caller.inputs[1].Err, &argument, "the caller refuses it")
	assert.Equal(t, "w", argument.Argument)
}
