package rest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/internal/rest"
	"github.com/driftsdk/drift/internal/wire"
)

// An error beside data counts only if the data are empty, in whatever order they come.
func TestErrorsBesideData(t *testing.T) {
	for body, want := range map[string]error{
		`{"data": {"id": 7}, "errors": [{"message": "no"}]}`: nil, `{"error": "no", "data": {"id": 7}}`: nil,
		`{"data": {}, "error": "no"}`: rest.ErrReported, `{"error": "no", "data": [ ]}`: rest.ErrReported, `{"error": "no"}`: rest.ErrReported,
		`{"data": null}`: rest.ErrNoData, `null`: rest.ErrNoData, `{"data": null, "errors": []}`: rest.ErrNoData,
	} {
		_, err := rest.One[thing](t.Context(), answering(body), route, rest.Input{}, nil)
		if want == nil {
			require.NoError(t, err, body)
			continue
		}
		require.ErrorIs(t, err, want, body)
	}
}

func TestReported(t *testing.T) {
	for _, body := range []string{``, `<html>`, `{}`, `{"data": 1, "error": "no"}`, `{"errors": []}`, `{"error": null}`} {
		require.NoError(t, rest.Reported([]byte(body)), body)
	}
	require.ErrorIs(t, rest.Reported([]byte(`{"error": {"message": "no"}}`)), rest.ErrReported)
}

func TestCheckEnvelope(t *testing.T) {
	require.NoError(t, rest.CheckEnvelope(wire.Envelope{Data: true, Failed: true}, nil))
	require.ErrorIs(t, rest.CheckEnvelope(wire.Envelope{Failed: true}, nil), rest.ErrReported)
	require.ErrorIs(t, rest.CheckEnvelope(wire.Envelope{}, nil), rest.ErrNoData)
}

// The record of another call is refused: its own id, or another member that the request had.
func TestForeignRecords(t *testing.T) {
	own := rest.Input{Path: rest.Path{rest.OwnID(int64(7))}}
	echo := rest.Input{Path: rest.Path{rest.ID(int64(1))}, Echoes: []rest.Field{{Name: "name", Value: "a"}}}
	for _, in := range []rest.Input{own, echo} {
		_, err := rest.One[thing](t.Context(), answering(`{"id": 7, "name": "a"}`), route, in, nil)
		require.NoError(t, err)
		_, err = rest.One[thing](t.Context(), answering(`{"id": 8, "name": "b"}`), route, in, nil)
		require.ErrorContains(t, err, string(rest.ErrForeign))
	}
	_, err := rest.One[thing](t.Context(), answering(`{"id": 8}`), route, echo, nil)
	require.NoError(t, err, "the answer need not repeat it")
}
