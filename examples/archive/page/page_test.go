package page

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/examples/archive/store"
	"github.com/driftsdk/drift/examples/archive/storetest"
)

// get returns the body of an answer with status 200.
func get(t *testing.T, archive *store.Store, path string) string {
	t.Helper()
	w := ask(t, Handler(archive, key, ""), http.MethodGet, "/"+key+path, "localhost")
	require.Equal(t, http.StatusOK, w.Code, "%s: %s", path, w.Body)
	return w.Body.String()
}

func TestHandlerNotice(t *testing.T) {
	handler := Handler(storetest.Open(t), key, "This is a <demonstration>.")
	for _, path := range []string{
		"/", "/conversations/1", "/contacts/101", "/oddities", "/verification", "/contacts/999",
	} {
		w := ask(t, handler, http.MethodGet, "/"+key+path, "localhost")
		assert.Contains(t, w.Body.String(), "This is a &lt;demonstration&gt;.", path)
	}
}

// A damaged archive is reported, and the page that says so is as guarded as the others.
func TestHandlerFailure(t *testing.T) {
	s, err := store.Open(t.Context(), t.TempDir())
	require.NoError(t, err)
	require.NoError(t, s.Close())
	for _, path := range []string{"/", "/conversations/1", "/contacts/101", "/oddities", "/verification", "/files/1"} {
		w := ask(t, Handler(s, key, ""), http.MethodGet, "/"+key+path, "localhost")
		assert.Equal(t, http.StatusInternalServerError, w.Code, path)
		assert.Contains(t, w.Body.String(), "The archive cannot be read")
		assertProtected(t, w.Header())
	}
}

// Readers see the archive while archive sync writes it.
func TestHandlerWhileSyncWrites(t *testing.T) {
	f := newFixture(t)
	f.acme()
	handler := Handler(f.archive, key, "")
	ctx, cancel := context.WithCancel(t.Context())
	written := make(chan int, 1)
	go func() {
		n := 0
		for ; ctx.Err() == nil; n++ {
			err := f.archive.Write(ctx, func(tx *store.Tx) error {
				return tx.PutMessage(store.Message{
					ID: int64(1000 + n), ConversationID: 4, CreatedAt: f.at, Text: "offer", Raw: []byte(`{}`),
				})
			})
			if err != nil && ctx.Err() == nil {
				t.Error(err)
				break
			}
		}
		written <- n
	}()
	for range 20 {
		for _, path := range []string{"/", "/?q=offer", "/conversations/4", "/contacts/101", "/verification"} {
			w := ask(t, handler, http.MethodGet, "/"+key+path, "localhost")
			assert.Equal(t, http.StatusOK, w.Code, w.Body)
		}
	}
	cancel()
	assert.Positive(t, <-written)
}
