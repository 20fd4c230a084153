package drifttest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
)

type report struct {
	Count int
	Data  []struct {
		ConversationID int64
		Metrics        []any
	}
}

func TestReportsAreComputedFromTheRecords(t *testing.T) {
	t.Parallel()
	w := start(t)
	opened := time.UnixMilli(1772359200000)
	id := w.AddConversation(drift.Conversation{
		Status: drift.ConversationStatusClosed, ContactID: 9, CreatedAt: opened, ResolvedAt: opened.Add(time.Hour),
	})
	for i, author := range []drift.Author{{ID: 9, Type: "contact"}, {ID: 1, Type: "user", Bot: true}, {ID: 3, Type: "user"}, {ID: 4, Type: "user"}} {
		w.AddMessage(drift.Message{ConversationID: id, Author: &author, CreatedAt: opened.Add(time.Duration(i) * time.Minute)})
	}
	w.AddConversation(drift.Conversation{CreatedAt: opened})

	const metrics = `"metrics":["numAgentMessages","numBotMessages","numEndUserMessages","lastAgentId","timeToAgentResponseMillis","timeToCloseMillis"]`
	got := read[report](w, "POST", "reports/conversations", `{"filters":[],`+metrics+`}`)
	require.Equal(t, 2, got.Count)
	assert.Equal(t, []any{2.0, 1.0, 1.0, 4.0, 120000.0, 3600000.0}, got.Data[0].Metrics)
	assert.Equal(t, []any{0.0, 0.0, 0.0, "NaN", "NaN", "NaN"}, got.Data[1].Metrics)

	for filter, want := range map[string]int{
		`{"property":"lastAgentId","operation":"HAS_PROPERTY"}`:                                     1,
		`{"property":"status","operation":"IN","values":["CLOSED","pending"]}`:                      1,
		`{"property":"lastAgentId","operation":"IN","values":[4]}`:                                  1,
		`{"property":"createdAt","operation":"BETWEEN","values":["2026-03-01","2026-03-02"]}`:       2,
		`{"property":"createdAt","operation":"BETWEEN","values":[1772359200001,1872359200000]}`:     0,
		`{"property":"createdAt","operation":"BETWEEN","values":["1772359200000","1772359200000"]}`: 2,
		`{"property":"numAgentMessages","operation":"BETWEEN","values":[1,2]}`:                      1,
	} {
		assert.Equal(t, want, read[report](w, "POST", "reports/conversations", `{"filters":[`+filter+`],"metrics":[]}`).Count, filter)
	}
	for _, filter := range []string{
		`{"property":"createdAt","operation":"BETWEEN","values":[1]}`, `{"property":"createdAt","operation":"BETWEEN"}`,
		`{"property":"createdAt","operation":"BEFORE","values":[1]}`, `{"operation":"IN"}`, `{"property":"status","operation":"IN","value":[]}`,
	} {
		assert.Equal(t, 400, w.send("POST", "reports/conversations", `{"filters":[`+filter+`],"metrics":[]}`).status, filter)
	}
}

func TestReportsHaveALimitOfTheirOwn(t *testing.T) {
	t.Parallel()
	c := newClock("2026-03-01T10:00:00Z")
	w := start(t, drifttest.WithClock(c.Now), drifttest.WithLimits(100, 0))
	ask := func() result { return w.send("POST", "reports/conversations", `{"filters":[],"metrics":[]}`) }
	for range 60 {
		require.Equal(t, 200, ask().status)
	}
	refused := ask()
	assert.Equal(t, 429, refused.status)
	assert.Equal(t, "60", refused.header.Get("Retry-After"))
	assert.Equal(t, 200, w.send("GET", "users/list", "").status, "others go on")
	minute, month := w.Used()
	assert.Equal(t, []int{62, 62}, []int{minute, month})
	c.advance(time.Minute)
	assert.Equal(t, 200, ask().status)
}
