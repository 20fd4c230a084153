package drift

import (
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestBound(t *testing.T) {
	p := RetryPolicy{}.withDefaults()
	for attempts, want := range map[int]time.Duration{1: 500 * time.Millisecond, 2: time.Second, 3: 2 * time.Second, 6: 16 * time.Second,
		7: 20 * time.Second, 1000: 20 * time.Second} {
		assert.Equal(t, want, p.bound(p.MinBackoff, attempts), "after %d", attempts)
	}
	assert.Equal(t, 20*time.Second, p.bound(time.Minute, 1))
	p.MaxBackoff = math.MaxInt64
	last := time.Duration(0)
	for attempts := 1; attempts < 200; attempts++ {
		bound := p.bound(p.MinBackoff, attempts)
		assert.GreaterOrEqual(t, bound, last, "it does not wrap")
		last = bound
	}
	assert.Equal(t, time.Duration(math.MaxInt64), last)
}

// A delay as long as a Duration can be must not wrap around when jitter is added.
func TestScheduleDoesNotOverflow(t *testing.T) {
	c := new(call)
	c.core = &core{retry: RetryPolicy{MaxRetryAfter: math.MaxInt64}.withDefaults()}
	for _, value := range []string{"9223372036", "99999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"} {
		c.last = attempt{status: 429, header: http.Header{"Retry-After": {value}, "Date": {"Sat, 01 Jan 2000 00:00:00 GMT"}}}
		for range 100 {
			assert.True(t, c.schedule(t.Context(), afterPause))
			assert.GreaterOrEqual(t, c.delay, c.last.retryAfter(), value)
		}
	}
}

func TestBoundDoublesUpToAnyMaximum(t *testing.T) {
	for _, longest := range []time.Duration{7, 8, 9, 1000, math.MaxInt64 / 2, math.MaxInt64 - 1, math.MaxInt64} {
		p := RetryPolicy{MinBackoff: 3, MaxBackoff: longest}
		for attempts := 1; attempts < 100; attempts++ {
			want := longest
			if doubled := math.Ldexp(3, attempts-1); doubled < float64(longest) {
				want = min(time.Duration(doubled), longest)
			}
			assert.Equal(t, want, p.bound(p.MinBackoff, attempts), "up to %d, after %d", longest, attempts)
		}
	}
}
