package fetch_test

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/examples/archive/fetch"
	"github.com/driftsdk/drift/examples/archive/store"
)

// model is a list of conversations that changes while it is read. It shares no code with the archive.
type model struct {
	random    *rand.Rand
	updated   map[int64]int64 // by id
	now       int64
	pageSize  int
	isOffset  bool // pages are counted from the top
	deletes   bool
	refuses   bool               // cursors, now and then
	churn     int                // changes with each request
	lag       int64              // how long a change is hidden at most
	hidden    map[int64][2]int64 // the value that is still shown, and until when
	killAfter int                // requests; 0: never
	kill      context.CancelFunc
}

func newModel(seed uint64) *model {
	m := &model{random: rand.New(rand.NewPCG(seed, 1)), updated: map[int64]int64{}, now: 1_700_000_000_000,
		pageSize: 10, hidden: map[int64][2]int64{}}
	for id := range int64(120) {
		m.now += 1000
		m.updated[id+1] = m.now
	}
	m.now += 100_000
	return m
}

// change lets something happen.
func (m *model) change() {
	m.now += 10 + m.random.Int64N(500)
	ids := slices.Sorted(func(yield func(int64) bool) {
		for id := range m.updated {
			if !yield(id) {
				return
			}
		}
	})
	id := ids[m.random.IntN(len(ids))]
	switch n := m.random.IntN(10); {
	case n == 0:
		id = ids[len(ids)-1] + 1
	case n == 1 && m.deletes:
		delete(m.updated, id)
		return
	}
	if m.lag > 0 {
		m.hidden[id] = [2]int64{m.at(id), m.now + m.random.Int64N(m.lag)}
	}
	m.updated[id] = m.now
}

// at is the last change of a conversation, as the list shows it; 0: not at all.
func (m *model) at(id int64) int64 {
	if hidden, ok := m.hidden[id]; ok && m.now < hidden[1] {
		return hidden[0]
	}
	return m.updated[id]
}

// shown is the list, the last changed first.
func (m *model) shown() []int64 {
	var ids []int64
	for id := range m.updated {
		if m.at(id) > 0 {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b int64) int { return cmp.Or(cmp.Compare(m.at(b), m.at(a)), cmp.Compare(b, a)) })
	return ids
}

// RoundTrip implements http.RoundTripper.
func (m *model) RoundTrip(request *http.Request) (*http.Response, error) {
	if err := request.Context().Err(); err != nil {
		return nil, err
	}
	status, body := http.StatusOK, `{"data":[]}`
	if strings.HasSuffix(request.URL.Path, "/conversations/list") {
		status, body = m.page(request.URL.Query())
	}
	if m.killAfter--; m.killAfter == 0 {
		m.kill()
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(body)), Request: request}, nil
}

func (m *model) page(query url.Values) (status int, body string) {
	for range m.churn {
		m.change()
	}
	shown, start := m.shown(), 0
	if token := query.Get("page_token"); token != "" {
		if m.refuses && m.random.IntN(15) == 0 {
			return http.StatusBadRequest, `{"error":{"type":"invalid","message":"the token has expired"}}`
		}
		data, _ := base64.StdEncoding.DecodeString(token)
		var at, id int64
		_, _ = fmt.Sscanf(string(data), "%d %d", &at, &id)
		start = slices.IndexFunc(shown, func(other int64) bool {
			return m.at(other) < at || m.at(other) == at && other < id
		})
		if start < 0 {
			start = len(shown)
		}
	}
	if next := query.Get("next"); next != "" {
		start, _ = strconv.Atoi(next)
	}
	start = min(start, len(shown))
	end := min(start+m.pageSize, len(shown))
	items := []map[string]any{}
	for _, id := range shown[start:end] {
		items = append(items, map[string]any{"id": id, "status": "open", "contactId": id, "updatedAt": m.at(id)})
	}
	answer := map[string]any{"data": items}
	switch {
	case m.isOffset && end < len(shown):
		answer["pagination"] = map[string]any{"more": true, "next": strconv.Itoa(end)}
	case m.isOffset:
		answer["pagination"] = map[string]any{"more": false}
	case end < len(shown):
		last := shown[end-1]
		token := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%d %d", m.at(last), last))
		answer["links"] = map[string]any{"next": "https://api.drift.com/conversations/list?page_token=" + url.QueryEscape(token)}
	default:
		answer["links"] = map[string]any{}
	}
	data, _ := json.Marshal(answer)
	return http.StatusOK, string(data)
}

// run syncs until a sync gets through. Each kill is followed by a new process.
func (m *model) run(t *testing.T, s *store.Store, overlap time.Duration, killEvery int) {
	t.Helper()
	for {
		ctx, kill := context.WithCancel(t.Context())
		m.kill, m.killAfter = kill, 0
		if killEvery > 0 {
			m.killAfter = 1 + m.random.IntN(2*killEvery)
		}
		quota := fetch.NewQuota(s, 0, 0)
		client, err := drift.NewClient(drift.WithToken("t"), drift.WithHTTPClient(&http.Client{Transport: m}),
			drift.WithQuotaStore(quota), drift.WithRateLimit(1_000_000))
		require.NoError(t, err)
		_, err = fetch.New(client, s, quota, fetch.Options{What: []string{}, Overlap: overlap}).Sync(ctx)
		kill()
		require.NoError(t, client.Close())
		if err == nil {
			return
		}
		require.True(t, errors.Is(err, context.Canceled), "%v", err)
	}
}

// Nothing that existed when a sync began is missing at its end, and after the next sync nothing is stale.
//
// DRIFT_ARCHIVE_SEEDS is how many accounts to try.
func TestNothingIsMissed(t *testing.T) {
	seeds, err := strconv.ParseUint(os.Getenv("DRIFT_ARCHIVE_SEEDS"), 10, 64)
	if err != nil {
		seeds = 5
	}
	for _, test := range []struct {
		name    string
		set     func(*model)
		overlap time.Duration
		kills   int
	}{
		{"tokens", func(*model) {}, 0, 0},
		{"tokens, kills", func(*model) {}, 0, 4},
		{"tokens, kills, refused tokens, deletions", func(m *model) { m.refuses, m.deletes = true, true }, 0, 4},
		{"the list lags", func(m *model) { m.lag, m.pageSize = 6000, 10 }, 10 * time.Second, 0},
		{"the list lags, kills", func(m *model) { m.lag, m.pageSize = 3000, 30 }, 5 * time.Second, 4},
		{"offsets, deletions", func(m *model) { m.isOffset, m.deletes, m.pageSize = true, true, 50 }, 0, 0},
		{"offsets, deletions, kills", func(m *model) { m.isOffset, m.deletes, m.pageSize = true, true, 50 }, 0, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			for seed := range seeds {
				m := newModel(seed)
				test.set(m)
				s, err := store.Open(t.Context(), t.TempDir())
				require.NoError(t, err)
				for range 2 {
					m.churn = 1 + int(seed%3)
					if m.lag > 0 {
						m.churn = 1
					}
					start := m.shown()
					m.run(t, s, test.overlap, test.kills)
					for _, id := range start {
						if _, exists := m.updated[id]; exists {
							_, err := s.Conversation(t.Context(), id)
							require.NoError(t, err, "conversation %d was there at the start, seed %d", id, seed)
						}
					}
				}
				m.churn = 0
				m.now += m.lag
				m.run(t, s, test.overlap, 0)
				for id, at := range m.updated {
					c, err := s.Conversation(t.Context(), id)
					require.NoError(t, err, "conversation %d, seed %d", id, seed)
					assert.Equal(t, at, c.UpdatedAt.UnixMilli(), "conversation %d is stale, seed %d", id, seed)
				}
				require.NoError(t, s.Close())
			}
		})
	}
}
