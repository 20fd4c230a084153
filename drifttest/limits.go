package drifttest

import (
	"net/http"
	"slices"
	"strconv"
	"time"
)

// limits counts requests by the service's rules. It deliberately shares no code with the SDK's limiter, so that one can
// prove the other.
type limits struct {
	perMinute int // 0: not enforced
	perMonth  int

	accepted []time.Time // within the last minute
	month    time.Time   // the first instant of the month that used counts
	used     int
}

// admit counts a request that arrives now, and refuses it if it exceeds a limit.
func (l *limits) admit(now time.Time) error {
	l.advance(now)
	l.used++
	if l.perMonth > 0 && l.used > l.perMonth {
		return &failure{
			status:  http.StatusTooManyRequests,
			kind:    "quota_exceeded",
			message: "The account has used up its calls of this month",
		}
	}
	if l.perMinute > 0 && len(l.accepted) >= l.perMinute {
		return l.tooMany(now)
	}
	l.accepted = append(l.accepted, now)
	return nil
}

// advance drops requests that no longer count: the minute is (now-60s, now].
func (l *limits) advance(now time.Time) {
	l.accepted = slices.DeleteFunc(l.accepted, func(at time.Time) bool { return now.Sub(at) >= time.Minute })
	utc := now.UTC()
	month := time.Date(utc.Year(), utc.Month(), 1, 0, 0, 0, 0, time.UTC)
	if !month.Equal(l.month) {
		l.month, l.used = month, 0
	}
}

func (l *limits) tooMany(now time.Time) error {
	oldest := slices.MinFunc(l.accepted, time.Time.Compare)
	wait := oldest.Add(time.Minute).Sub(now)
	seconds := int((wait + time.Second - 1) / time.Second)
	return &failure{
		status:  http.StatusTooManyRequests,
		kind:    errorType(http.StatusTooManyRequests),
		message: "Too many requests in a minute",
		header:  http.Header{"Retry-After": {strconv.Itoa(seconds)}},
	}
}

// Used returns how many requests count against the rolling minute and against the calendar month, whether or not limits
// are set. A request with a bad token counts against neither, one beyond a limit only against the month.
func (s *Server) Used() (minute, month int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits.advance(s.settings.clock())
	return len(s.limits.accepted), s.limits.used
}
