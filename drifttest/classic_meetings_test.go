package drifttest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/driftsdk/drift/drifttest"
)

func TestClassicMeetingsWithinTheirBounds(t *testing.T) {
	t.Parallel()
	c := newClock("2026-03-01T10:00:00Z")
	w := start(t, drifttest.WithClock(c.Now))
	w.ok("POST", "v2/meetings", `{"start_at":1772359200000,"duration":30,"created_by":4}`)
	count := func(query string) int {
		return len(read[struct{ Data []any }](w, "GET", "users/meetings/org?"+query, "").Data)
	}
	assert.Equal(t, 1, count("min_start_time=0&max_start_time=1772359200000"))
	assert.Equal(t, 1, count("min_start_time=1772359200000&max_start_time=1772359200000"))
	assert.Zero(t, count("min_start_time=1772359200001&max_start_time=1782359200000"))
	assert.Zero(t, count("min_start_time=0&max_start_time=1772359199999"))
	c.advance(30 * 24 * time.Hour)
	assert.Equal(t, 1, count("min_start_time=0&max_start_time=1772359200000"))
	c.advance(time.Millisecond)
	assert.Zero(t, count("min_start_time=0&max_start_time=1772359200000"), "more than 30 days ago")
	w.isBad(t, "users/meetings/org?min_start_time=0&max_start_time=1&limit=1001")
}
