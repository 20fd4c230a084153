package drift

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestJudge(t *testing.T) {
	temporary := &net.DNSError{Err: "server misbehaving", IsTemporary: true}
	tests := []struct {
		name              string
		a                 attempt
		once, mayRepeated verdict
	}{
		{"stopped", attempt{stopped: errors.New("no token")}, finish, finish},
		{"not sent", attempt{err: io.EOF, broken: true}, again, again},
		{"temporary DNS", attempt{err: temporary, broken: true}, again, again},
		{"no such host", attempt{err: &net.OpError{Op: "dial", Err: &net.DNSError{IsNotFound: true}}, broken: true}, finish, finish},
		{"certificate", attempt{err: &tls.CertificateVerificationError{Err: io.EOF}, broken: true}, finish, finish},
		{"no attempt", attempt{err: io.EOF, broken: true, sent: true}, finish, again},
		{"not usable", attempt{err: ErrTooLarge, sent: true, status: 200}, finish, finish},
		{"200", attempt{status: 200, sent: true}, finish, finish},
		{"401", attempt{status: 401, sent: true}, withNewToken, withNewToken},
		{"403", attempt{status: 403, sent: true}, finish, finish},
		{"403 authentication_error", said(403, authenticationError), withNewToken, withNewToken},
		{"403 quota", said(403, "monthly_quota"), finish, finish},
		{"402", attempt{status: 402, sent: true}, finish, finish},
		{"404", attempt{status: 404, sent: true}, finish, finish},
		{"408", attempt{status: 408, sent: true}, finish, again},
		{"429", attempt{status: 429, sent: true}, afterPause, afterPause},
		{"429 quota", said(429, "QUOTA_EXCEEDED"), finish, finish},
		{"500", attempt{status: 500, sent: true}, finish, again},
		{"501", attempt{status: 501, sent: true}, finish, finish},
		{"502", attempt{status: 502, sent: true}, finish, again},
		{"503", attempt{status: 503, sent: true}, finish, again},
		{"504", attempt{status: 504, sent: true}, finish, again},
		{"505", attempt{status: 505, sent: true}, finish, finish},
	}
	for _, test := range tests {
		assert.Equal(t, test.once, judge(&test.a, false), test.name)
		assert.Equal(t, test.mayRepeated, judge(&test.a, true), test.name)
	}
}

func said(status int, kind string) attempt {
	return attempt{status: status, sent: true, buffer: bytes.NewBufferString(fmt.Sprintf(`{"error":{"type":%q}}`, kind))}
}

func TestMayBeApplied(t *testing.T) {
	for name, test := range map[string]struct {
		a    attempt
		want bool
	}{
		"stopped":       {attempt{stopped: io.EOF, sent: true}, false},
		"not sent":      {attempt{err: io.EOF}, false},
		"no attempt":    {attempt{err: io.EOF, sent: true}, true},
		"redirect":      {attempt{err: fmt.Errorf("%w (status 307)", errRedirect), sent: true, status: 307}, false},
		"200, not JSON": {attempt{err: ErrUnexpectedContent, sent: true, status: 200}, true},
		"303":           {attempt{err: errRedirect, sent: true, status: 303}, true},
		"304":           {attempt{sent: true, status: 304}, false},
		"odd success":   {attempt{sent: true, status: 201}, true},
		"400":           {attempt{sent: true, status: 400}, false},
		"408":           {attempt{sent: true, status: 408}, true},
		"429":           {attempt{sent: true, status: 429}, false},
		"499":           {attempt{sent: true, status: 499}, false},
		"500":           {attempt{sent: true, status: 500}, true},
		"505":           {attempt{sent: true, status: 505}, true},
	} {
		assert.Equal(t, test.want, test.a.mayBeApplied(), name)
	}
}

func TestRetryPolicyDefaults(t *testing.T) {
	assert.Equal(t, RetryPolicy{3, 500 * time.Millisecond, 20 * time.Second, time.Minute, 10}, RetryPolicy{}.withDefaults())
	own := RetryPolicy{5, time.Second, time.Minute, time.Hour, -1}
	assert.Equal(t, own, own.withDefaults())
	for _, wrong := range []RetryPolicy{{MaxAttempts: -1}, {MinBackoff: -1}, {MaxBackoff: -1}, {MaxRetryAfter: -1}} {
		assert.Error(t, wrong.check())
	}
	assert.NoError(t, RetryPolicy{Budget: -1}.check())
}

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

func TestJitter(t *testing.T) {
	assert.Zero(t, jitter(0))
	assert.Zero(t, jitter(-1))
	for range 1000 {
		d := jitter(10)
		assert.True(t, d >= 0 && d < 10)
	}
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

func TestBudget(t *testing.T) {
	b := newBudget(2)
	assert.True(t, b.spend())
	assert.True(t, b.spend())
	assert.False(t, b.spend())
	for range 4 {
		b.earn()
	}
	assert.False(t, b.spend())
	b.earn()
	assert.True(t, b.spend())
	for range 1000 {
		b.earn()
	}
	assert.True(t, b.spend())
	assert.True(t, b.spend())
	assert.False(t, b.spend())

	boundless := newBudget(-1)
	for range 1000 {
		assert.True(t, boundless.spend())
		boundless.earn()
	}
}

func TestBudgetOfManyCallers(t *testing.T) {
	b := newBudget(100)
	var mu sync.Mutex
	spent := 0
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			for range 10 {
				if b.spend() {
					mu.Lock()
					spent++
					mu.Unlock()
				}
			}
		})
	}
	group.Wait()
	assert.Equal(t, 100, spent)
}

func TestClockThatGoesBackDoesNotReopenAMonth(t *testing.T) {
	q := newMemoryQuota(2)
	march, february := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 2, 28, 23, 59, 59, 999e6, time.UTC)
	reserve := func(at time.Time) (Usage, error) { return q.Reserve(t.Context(), at) }
	used, err := reserve(march)
	assert.NoError(t, err)
	assert.Equal(t, Usage{1, 2, march.AddDate(0, 1, 0)}, used)
	used, err = reserve(february)
	assert.NoError(t, err)
	assert.Equal(t, Usage{2, 2, march.AddDate(0, 1, 0)}, used, "counted in the latest month")
	for _, at := range []time.Time{february, february.AddDate(-1, 0, 0), march} {
		_, err = reserve(at)
		assert.ErrorIs(t, err, ErrQuotaExceeded)
		used, err = q.Usage(t.Context(), at)
		assert.NoError(t, err)
		assert.Equal(t, 2, used.Used)
	}
	assert.NoError(t, q.Refund(t.Context(), february), "of a month that is over")
	used, err = reserve(march.AddDate(0, 1, 0))
	assert.NoError(t, err)
	assert.Equal(t, 1, used.Used)
}

// Months are those of UTC, wherever the clock stands.
func TestMonthOfATimeElsewhere(t *testing.T) {
	want := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for _, at := range []time.Time{
		time.Date(2026, 4, 1, 13, 59, 59, 0, time.FixedZone("Kiritimati", 14*3600)),
		time.Date(2026, 2, 28, 12, 0, 0, 0, time.FixedZone("Baker", -12*3600)),
		time.Date(2026, 3, 31, 23, 59, 59, 999e6, time.UTC),
	} {
		assert.True(t, monthOf(at).Equal(want), "%v", at)
	}
}
