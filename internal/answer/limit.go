package answer

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// RetryAfter reads the Retry-After header: seconds, with fractions rounded up, or a date. If the header is repeated,
// the longest delay counts. An invalid value counts as absent, and a value that is too large becomes the longest
// Duration in whole seconds.
func RetryAfter(header http.Header, now time.Time) time.Duration {
	now = serverTime(header, now)
	var longest time.Duration
	for _, line := range header.Values("Retry-After") {
		longest = max(longest, parseDelay(strings.TrimSpace(line), now))
	}
	return longest
}

func parseDelay(text string, now time.Time) time.Duration {
	if date, err := http.ParseTime(text); err == nil {
		return max(0, date.Sub(now))
	}
	whole, fraction, _ := strings.Cut(text, ".")
	if !digits(whole) || fraction != "" && !digits(fraction) || strings.HasSuffix(text, ".") {
		return 0
	}
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || seconds >= maxSeconds {
		return time.Duration(maxSeconds) * time.Second
	}
	if strings.Trim(fraction, "0") != "" {
		seconds++
	}
	return time.Duration(seconds) * time.Second
}

const maxSeconds = math.MaxInt64 / int64(time.Second)

func digits(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool { return r < '0' || r > '9' })
}

// serverTime returns the Date of the answer, because the local clock may be wrong, or now if there is none.
func serverTime(header http.Header, now time.Time) time.Time {
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		return date
	}
	return now
}

// limitHeaders are the two spellings of the headers that describe a rate limit.
var limitHeaders = [...]struct{ remaining, reset string }{
	{"Ratelimit-Remaining", "Ratelimit-Reset"}, {"X-Ratelimit-Remaining", "X-Ratelimit-Reset"},
}

// LimitReset returns the time until the limit resets, or 0 if the answer does not say.
func LimitReset(header http.Header, now time.Time) time.Duration {
	for _, names := range limitHeaders {
		if reset := header.Get(names.reset); reset != "" {
			return parseReset(reset, serverTime(header, now))
		}
	}
	return 0
}

// UsedUp reports whether the answer says that the limit is exhausted.
func UsedUp(header http.Header) bool {
	for _, names := range limitHeaders {
		if remaining := firstItem(header.Get(names.remaining)); remaining != "" {
			n, err := strconv.ParseFloat(remaining, 64)
			return err == nil && n <= 0
		}
	}
	return false
}

// firstItem returns the first item of a list without its parameters. Further items describe other windows of the limit.
func firstItem(text string) string {
	if text == "" {
		return ""
	}
	end := strings.IndexAny(text+",", ",;")
	return strings.TrimSpace(text[:end])
}

// epochs are the smallest numbers that count as a time since the epoch, by unit. Services use any unit. A smaller
// number is a delay in seconds.
var epochs = [...]struct {
	from int64
	unit time.Duration
}{{1e17, time.Nanosecond}, {1e14, time.Microsecond}, {1e11, time.Millisecond}, {1e8, time.Second}}

func parseReset(text string, now time.Time) time.Duration {
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now))
	}
	text = firstItem(text)
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return max(0, at.Sub(now))
	}
	whole, fraction, _ := strings.Cut(text, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || fraction != "" && !digits(fraction) {
		return parseDelay(text, now)
	}
	if strings.Trim(fraction, "0") != "" {
		n++ // rounded up: late is better than early
	}
	for _, epoch := range epochs {
		if n >= epoch.from {
			perSecond := int64(time.Second / epoch.unit)
			return max(0, time.Unix(n/perSecond, n%perSecond*int64(epoch.unit)).Sub(now))
		}
	}
	return parseDelay(text, now)
}
