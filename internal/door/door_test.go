package door_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
	"github.com/driftsdk/drift/internal/door"
	"github.com/driftsdk/drift/internal/rest"
)

// A resource of another package is written like those of package drift.

var dealsGet = rest.Route{Name: "deals.get", Method: http.MethodGet, Path: "deals/{dealId}"}

type deal struct {
	ID    int64  `json:"id" wire:"id"`
	Stage string `json:"stage"`

	Extra map[string]json.RawMessage `json:",embed,inline"`
}

type deals struct{ caller rest.Caller[drift.CallOption] }

func newDeals(client *drift.Client) deals {
	return deals{door.Caller(client).(rest.Caller[drift.CallOption])}
}

func (s deals) Get(ctx context.Context, id int64, opts ...drift.CallOption) (*deal, error) {
	return rest.One[deal](ctx, s.caller, &dealsGet, rest.Input{Path: rest.Path{rest.OwnID(id)}}, opts)
}

func TestResourceOfAnotherPackage(t *testing.T) {
	srv := drifttest.Start(t)
	srv.Handle(http.MethodGet, "deals/{dealId}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"data": {"id": 7, "stage": "won", "owner": 3}}`))
	})
	var response drift.Response
	found, err := newDeals(srv.Client()).Get(t.Context(), 7, drift.WithResponse(&response))
	require.NoError(t, err)
	assert.Equal(t, &deal{ID: 7, Stage: "won", Extra: map[string]json.RawMessage{"owner": json.RawMessage("3")}}, found)
	assert.Len(t, response.Attempts, 1)

	_, err = newDeals(srv.Client()).Get(t.Context(), 8)
	var decode *drift.DecodeError
	require.ErrorAs(t, err, &decode, "the answer is about another deal")
	assert.Equal(t, "deals.get", decode.Operation)
	_, err = newDeals(srv.Client()).Get(t.Context(), 0)
	require.ErrorIs(t, err, drift.ErrInvalid)
}

func TestClientThatIsNotConnected(t *testing.T) {
	for _, client := range []*drift.Client{nil, {}, (&drift.Client{}).With(drift.WithBulk())} {
		_, err := newDeals(client).Get(t.Context(), 7)
		assert.EqualError(t, err, "drift: this client was not made by NewClient")
	}
}
