package answer

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestRetryAfterWithoutADate(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, date := range []string{"", "yesterday"} {
		header := http.Header{"Date": {date}, "Retry-After": {now.Add(9 * time.Second).Format(http.TimeFormat)}}
		assert.Equal(t, 9*time.Second, RetryAfter(header, now), "by the local clock")
	}
	assert.Zero(t, RetryAfter(nil, now))
}

// The last second that fits a Duration is rounded up to itself.
func TestFractionOfTheLastSecond(t *testing.T) {
	for _, value := range []string{"9223372036", "9223372036.9", "9223372035.9"} {
		got := RetryAfter(http.Header{"Retry-After": {value}}, time.Time{})
		assert.Equal(t, 9_223_372_036*time.Second, got, value)
	}
}
