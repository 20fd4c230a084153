package drifttest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
	"github.com/driftsdk/drift/internal/faults"
)

// TestFault runs the rows of the fault matrix that belong to this package.
func TestFault(t *testing.T) {
	faults.Run(t, "drifttest", faults.Cases{193: checkHandle, 194: checkStrictUpdates})
}

// deal is a record of an endpoint that neither the client nor the server has.
type deal struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

const getDeal = "GET deals/{dealId}"

var dealRequest = drift.Request{Path: "deals/{dealId}", Values: map[string]string{"dealId": "a/7"}}

func checkHandle(t *testing.T) {
	srv := drifttest.Start(t, drifttest.WithLimits(4, 0))
	srv.Handle("GET", "deals/{dealId}", func(w http.ResponseWriter, r *http.Request) {
		_, id, _ := strings.Cut(r.PathValue("dealId"), "/")
		_, _ = fmt.Fprintf(w, `{"data": {"id": %s, "name": "Renewal"}}`, id)
	})
	client := srv.Client(drift.WithoutRetry())
	get := func(opts ...drift.CallOption) (got deal, err error) {
		return got, client.Do(t.Context(), dealRequest, &got, opts...)
	}

	got, err := get()
	require.NoError(t, err)
	assert.Equal(t, deal{7, "Renewal"}, got)

	srv.Fail(getDeal, drifttest.Fault{Status: http.StatusServiceUnavailable})
	_, err = get()
	require.ErrorIs(t, err, drift.ErrServer)

	srv.Fail(getDeal, drifttest.Fault{Truncate: 9})
	_, err = get()
	_, broken := errorAs[*drift.DecodeError](err)
	assert.True(t, broken, "%v", err)

	_, err = get()
	require.NoError(t, err, "the faults are used up")
	_, err = get()
	require.ErrorIs(t, err, drift.ErrRateLimited, "the fifth call of the minute")

	assert.Equal(t, 5, srv.Count(getDeal))
	var recorded []string
	for _, r := range srv.Requests() {
		assert.Equal(t, getDeal, r.Operation)
		assert.Equal(t, "REDACTED", r.Header.Get("Authorization"))
		recorded = append(recorded, fmt.Sprint(r.Path, " ", r.Status))
	}
	assert.Equal(t, []string{
		"/deals/a%2F7 200", "/deals/a%2F7 503", "/deals/a%2F7 200", "/deals/a%2F7 200", "/deals/a%2F7 429",
	}, recorded)

	other, err := drift.NewClient(drift.WithBaseURL(srv.URL), drift.WithToken("wrong"))
	require.NoError(t, err)
	defer func() { assert.NoError(t, other.Close()) }()
	require.ErrorIs(t, other.Do(t.Context(), dealRequest, nil), drift.ErrUnauthorized)
}

// checkStrictUpdates: what a create refuses for lacking something, an update refuses for taking it away.
func checkStrictUpdates(t *testing.T) {
	w := start(t, drifttest.WithDemoData())
	for _, test := range []struct{ create, update, name string }{
		{"v2/conversations/1/messages", "v2/conversations/1/messages/2", "body"},
		{"v2/conversations/1/messages", "v2/conversations/1/driftbot", "body"},
		{"v2/tags", "v2/tags/1", "name"},
		{"v2/meetings", "v2/meetings/1", "start_at"},
	} {
		w.refused(http.StatusBadRequest, http.MethodPost, test.create, `{}`)
		before := w.ok(http.MethodPatch, test.update, `{}`)
		require.NotEmpty(t, before[test.name], "an update may leave it out")
		for _, empty := range []string{`null`, `""`, `0`} {
			body := fmt.Sprintf(`{%q:%s}`, test.name, empty)
			_, message := w.refused(http.StatusBadRequest, http.MethodPost, test.create, body)
			assert.True(t, strings.HasPrefix(message, test.name+": "), message)
			_, message = w.refused(http.StatusBadRequest, http.MethodPatch, test.update, body)
			assert.True(t, strings.HasPrefix(message, test.name+": "), message)
		}
		assert.Equal(t, before[test.name], w.ok(http.MethodPatch, test.update, `{}`)[test.name])
	}
	for method, path := range map[string]string{
		"POST": "v2/conversations/1/messages", "PATCH": "v2/conversations/1/messages/2",
	} {
		for _, charset := range []string{"iso-8859-1", "utf-16", ""} {
			contentType := header("Content-Type", "application/json; charset="+charset)
			_, message := w.refused(http.StatusBadRequest, method, path, `{"body":"x"}`, contentType)
			assert.Equal(t, "Content-Type: must be application/json, in UTF-8", message)
		}
	}
}
