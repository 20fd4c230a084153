package fetch_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// many answers GET contacts?idType=drift&id=…&id=… with the contacts that it is asked for, plus offset.
func many(offset int64) func(*http.Request, http.RoundTripper) (*http.Response, error) {
	return func(request *http.Request, server http.RoundTripper) (*http.Response, error) {
		if request.URL.Path != "/contacts" {
			return server.RoundTrip(request)
		}
		var records []string
		for _, id := range request.URL.Query()["id"] {
			var n int64
			_, _ = fmt.Sscan(id, &n)
			if n%10 != 0 { // these are missing
				records = append(records, fmt.Sprintf(`{"id":%d,"attributes":{"email":"c%d@example.com"}}`, n+offset, n-1))
			}
		}
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
			Body: io.NopCloser(strings.NewReader(`{"data":[` + strings.Join(records, ",") + `]}`)), Request: request}, nil
	}
}

func TestManyContactsInOneCall(t *testing.T) {
	a := newArchive(t, account(t, 50))
	a.network = many(0)
	assert.True(t, a.sync(t).Complete())
	requireComplete(t, a)
	assert.Equal(t, 5, a.server.Count("classic.contacts.get"), "only those that were missing")
}

// Such a service would mix up people.
func TestServiceThatTakesIDsForOtherIDs(t *testing.T) {
	a := newArchive(t, account(t, 50))
	a.network = many(1000)
	assert.True(t, a.sync(t).Complete())
	requireComplete(t, a)
	assert.Equal(t, 50, a.server.Count("classic.contacts.get"))
}

func TestTriesManyContactsOnce(t *testing.T) {
	a := newArchive(t, account(t, 50))
	a.sync(t)
	requireComplete(t, a)
	tries := 0
	for _, request := range a.server.Requests() {
		if strings.Contains(request.Query, "idType=drift") {
			tries++
		}
	}
	assert.Equal(t, 1, tries)
	works, err := a.Meta(t.Context(), "contacts_batch")
	require.NoError(t, err)
	assert.Equal(t, "no", works)
}
