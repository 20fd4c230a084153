package fetch_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
	"github.com/driftsdk/drift/examples/archive/fetch"
	"github.com/driftsdk/drift/examples/archive/store"
	"github.com/driftsdk/drift/examples/archive/storetest"
)

// archive is an archive of a server, for tests.
type archive struct {
	*store.Store
	server *drifttest.Server
	quota  *fetch.Quota
	plan   drift.Plan
	// network, if not nil, stands between the client and the server.
	network func(request *http.Request, server http.RoundTripper) (*http.Response, error)
	fetch.Options
}

// RoundTrip implements http.RoundTripper.
func (a *archive) RoundTrip(request *http.Request) (*http.Response, error) {
	server := a.server.HTTPClient().Transport
	if a.network == nil {
		return server.RoundTrip(request)
	}
	return a.network(request, server)
}

func newArchive(t *testing.T, server *drifttest.Server) *archive {
	t.Helper()
	s, err := store.Open(t.Context(), t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return &archive{Store: s, server: server, Options: fetch.Options{Overlap: time.Minute, Patience: time.Minute}}
}

// fetcher is a new one, as in a new process.
func (a *archive) fetcher() *fetch.Fetcher {
	a.quota = fetch.NewQuota(a.Store, a.plan, 0)
	client := a.server.Client(drift.WithQuotaStore(a.quota), drift.WithHTTPClient(&http.Client{Transport: a}), drift.WithRetryPolicy(drift.RetryPolicy{
		MaxAttempts: 4, MinBackoff: time.Millisecond, Budget: -1,
	}))
	return fetch.New(client, a.Store, a.quota, a.Options)
}

func (a *archive) sync(t *testing.T) *fetch.Result {
	t.Helper()
	result, err := a.fetcher().Sync(t.Context())
	require.NoError(t, err)
	return result
}

// account has n conversations, each with another contact, a few messages, and now and then a note or a file.
func account(t *testing.T, n int, options ...drifttest.Option) *drifttest.Server {
	t.Helper()
	start, seeding := time.Now().Add(-24*time.Hour).Truncate(time.Millisecond), atomic.Int64{}
	seeding.Store(1)
	server := drifttest.Start(t, append(options, drifttest.WithClock(func() time.Time {
		if i := seeding.Load(); i > 0 {
			return start.Add(time.Duration(i) * time.Second)
		}
		return time.Now()
	}))...)
	defer seeding.Store(0)
	for i := range n {
		seeding.Store(int64(i + 1))
		contact := server.AddContact(drift.Contact{Email: fmt.Sprintf("c%d@example.com", i)})
		at := start.Add(time.Duration(i) * time.Second)
		id := server.AddConversation(drift.Conversation{ContactID: contact, CreatedAt: at, UpdatedAt: at,
			Status: []drift.ConversationStatus{"open", "closed", "pending"}[i%3]})
		for j := range 1 + i%4 {
			message := drift.Message{ConversationID: id, Body: fmt.Sprintf("<p>message %d of %d</p>", j, i), CreatedAt: at}
			if i%10 == 0 && j == 0 {
				message.Attachments = []drift.Attachment{server.AddAttachment(
					drift.Attachment{FileName: "a.txt", MIMEType: "text/plain"}, fmt.Appendf(nil, "file of %d", i))}
			}
			server.AddMessage(message)
		}
	}
	return server
}

func requireComplete(t *testing.T, a *archive) {
	t.Helper()
	storetest.RequireComplete(t, a.Dir(), a.server)
}

func TestSync(t *testing.T) {
	server := account(t, 250, drifttest.WithDemoData())
	a := newArchive(t, server)
	result := a.sync(t)
	requireComplete(t, a)
	assert.True(t, result.Complete(), "%+v", result)
	for kind, n := range map[string]int{"user": 2, "team": 2, "account": 1, "playbook": 1} {
		assert.GreaterOrEqual(t, result.Status.Records[kind], n, kind)
	}
	t.Log(result.Calls, result.Status)
}

func TestSyncWithoutNews(t *testing.T) {
	a := newArchive(t, account(t, 250))
	a.sync(t)
	a.server.Reset()
	result := a.sync(t)
	assert.True(t, result.Complete())
	assert.Equal(t, 1, a.server.Count("classic.conversations.list"))
	assert.LessOrEqual(t, a.server.Count("*"), 2, "the list and the meetings")
	assert.Equal(t, a.server.Count("*"), result.Calls)
}

func TestSyncReadsWhatChanged(t *testing.T) {
	a := newArchive(t, account(t, 250))
	a.sync(t)
	a.server.Reset()
	a.server.AddMessage(drift.Message{ConversationID: 17, Body: "news"})
	contact := a.server.AddContact(drift.Contact{Email: "new@example.com"})
	a.server.AddConversation(drift.Conversation{ContactID: contact})
	a.sync(t)
	requireComplete(t, a)
	assert.Equal(t, 2, a.server.Count("classic.messages.list"))
}

func TestSyncStoresBytesAsSent(t *testing.T) {
	a := newArchive(t, account(t, 1))
	a.server.AddMessage(drift.Message{ConversationID: 1, Body: "<b>bold</b> &amp; \"quoted\" é\u2028"})
	a.sync(t)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
		a.server.URL+"/conversations/1/messages", nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+drifttest.DefaultToken)
	request.Header.Set("Accept", "application/json")
	response, err := a.server.HTTPClient().Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	messages, err := a.Messages(t.Context(), 1)
	require.NoError(t, err)
	require.NotEmpty(t, messages)
	for _, m := range messages {
		assert.True(t, bytes.Contains(body, m.Raw), string(m.Raw))
	}
	assert.Equal(t, "bold & \"quoted\" é", messages[len(messages)-1].Text)
}

func TestFilesAreIntact(t *testing.T) {
	a := newArchive(t, account(t, 21))
	a.sync(t)
	broken, err := a.FilesBroken(t.Context())
	require.NoError(t, err)
	assert.Empty(t, broken)
	messages, err := a.Messages(t.Context(), 21)
	require.NoError(t, err)
	require.NotEmpty(t, messages[0].Attachments)
	file, err := a.OpenFile(&messages[0].Attachments[0])
	require.NoError(t, err)
	defer file.Close()
	data, err := io.ReadAll(file)
	require.NoError(t, err)
	assert.Equal(t, "file of 20", string(data))
	info, err := os.Stat(file.Name())
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}
