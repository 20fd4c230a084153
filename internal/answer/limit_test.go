package answer

import (
	"math"
	"math/big"
	"net/http"
	"regexp"
	"slices"
	"strings"
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

// The oracle reads seconds and dates with regular expressions and integers of any size.
func FuzzParseRetryAfter(f *testing.F) {
	for _, seed := range []string{"", "0", "5", " 5 ", "5.5", "5.0", "5.", ".5", "-5", "+5", "1e3", "0x10", "NaN", "Inf", "1_000", "٥", "5, 9", "5;9",
		"9223372036", "9223372037", "18446744074", "99999999999999999999", "9223372035.9", "0.000000000000000000001",
		"000000000000000000000000001", "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
		"Tue, 29 Feb 2028 23:59:59 GMT", "Mon, 29 Feb 2027 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "Sat, 01 Jan 0000 00:00:00 GMT"} {
		f.Add("", seed, "7")
		f.Add("Sun, 06 Nov 1994 08:48:00 GMT", seed, seed)
	}
	f.Add("Sun Nov  6 08:49:00 1994", "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:38 GMT")
	f.Add("Sunday, 06-Nov-94 08:49:00 GMT", "junk", "Sun Nov  6 08:49:37 1994")
	now := time.Date(1994, 11, 6, 7, 49, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, date, first, second string) {
		header := http.Header{"Date": {date}, "Retry-After": {first, second}}
		got := RetryAfter(header, now)
		if got < 0 {
			t.Fatalf("%q: %v", header, got)
		}
		from, isDate := dateOracle(date)
		if !isDate {
			from = big.NewInt(now.Unix())
		}
		var want time.Duration
		for _, text := range []string{date, first, second} {
			if _, isDate := dateOracle(strings.TrimSpace(text)); !isDate && strings.Contains(text, ":") {
				return // nearly a date: how lenient to be is a matter of taste
			}
			if len(text) > 100 {
				return // the oracle takes its time
			}
		}
		for _, line := range header["Retry-After"] {
			want = max(want, retryAfterOracle(strings.TrimSpace(line), from))
		}
		if got != want {
			t.Fatalf("%q: got %v, want %v", header, got, want)
		}
	})
}

var secondsOfRetryAfter = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?$`)

func retryAfterOracle(text string, from *big.Int) time.Duration {
	if at, ok := dateOracle(text); ok {
		return durationOracle(at.Sub(at, from), math.MaxInt64)
	}
	if !secondsOfRetryAfter.MatchString(text) {
		return 0
	}
	exact, _ := new(big.Rat).SetString(text)
	seconds, rest := new(big.Int).QuoRem(exact.Num(), exact.Denom(), new(big.Int))
	if rest.Sign() > 0 {
		seconds.Add(seconds, big.NewInt(1))
	}
	return durationOracle(seconds, math.MaxInt64/int64(time.Second)*int64(time.Second))
}

// durationOracle is so many seconds, at least none and at most so many nanoseconds.
func durationOracle(seconds *big.Int, most int64) time.Duration {
	nanoseconds := new(big.Int).Mul(seconds, big.NewInt(int64(time.Second)))
	switch {
	case nanoseconds.Sign() < 0:
		return 0
	case !nanoseconds.IsInt64() || nanoseconds.Int64() > most:
		return time.Duration(most)
	}
	return time.Duration(nanoseconds.Int64())
}

const (
	dayNames   = `(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)`
	monthNames = `(?P<month>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)`
	clock      = `(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})`
)

var httpDates = []*regexp.Regexp{
	regexp.MustCompile(`^` + dayNames + `, (?P<day>[0-9]{2}) ` + monthNames + ` (?P<year>[0-9]{4}) ` + clock + ` GMT$`),
	regexp.MustCompile(`^(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (?P<day>[0-9]{2})-` + monthNames + `-(?P<short>[0-9]{2}) ` + clock + ` GMT$`),
	regexp.MustCompile(`^` + dayNames + ` ` + monthNames + ` (?P<day>[ 0-9][0-9]) ` + clock + ` (?P<year>[0-9]{4})$`),
}

var monthsOfYear = strings.Fields("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec")

// dateOracle returns the seconds since 1970 of a date in one of the three forms of HTTP.
func dateOracle(text string) (*big.Int, bool) {
	for _, form := range httpDates {
		match := form.FindStringSubmatch(text)
		if match == nil {
			continue
		}
		part := func(name string) int64 {
			i := form.SubexpIndex(name)
			if i < 0 {
				return 0
			}
			n, _ := new(big.Int).SetString(strings.TrimSpace(match[i]), 10)
			return n.Int64()
		}
		year := part("year")
		if form.SubexpIndex("short") > 0 {
			year = part("short") + 1900
			if year < 1969 {
				year += 100
			}
		}
		month := slices.Index(monthsOfYear, match[form.SubexpIndex("month")])
		return secondsOracle(year, month, part("day"), part("hour"), part("minute"), part("second"))
	}
	return nil, false
}

// secondsOracle counts days one year and one month after the other.
func secondsOracle(year int64, month int, day, hour, minute, second int64) (*big.Int, bool) {
	if day < 1 || day > daysOracle(year, month) || hour > 23 || minute > 59 || second > 59 {
		return nil, false
	}
	days := day - 1
	for y := int64(1970); y < year; y++ {
		days += 365 + leapDay(y)
	}
	for y := year; y < 1970; y++ {
		days -= 365 + leapDay(y)
	}
	for m := range month {
		days += daysOracle(year, m)
	}
	return big.NewInt(days*86400 + hour*3600 + minute*60 + second), true
}

func daysOracle(year int64, month int) int64 {
	days := [...]int64{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}[month]
	if month == 1 {
		days += leapDay(year)
	}
	return days
}

func leapDay(year int64) int64 {
	if year%4 == 0 && year%100 != 0 || year%400 == 0 {
		return 1
	}
	return 0
}

// The oracle itself must know its dates.
func TestDateOracle(t *testing.T) {
	for at := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() < 10_000; at = at.Add(1234567*time.Second + 31*24*time.Hour) {
		for _, layout := range []string{http.TimeFormat, "Mon Jan _2 15:04:05 2006"} {
			if got, ok := dateOracle(at.Format(layout)); !ok || got.Int64() != at.Unix() {
				t.Fatalf("%s: %v", at.Format(layout), got)
			}
		}
	}
	for year := 1969; year < 2069; year++ {
		at := time.Date(year, 12, 31, 23, 59, 59, 0, time.UTC)
		if got, ok := dateOracle(at.Format("Monday, 02-Jan-06 15:04:05 GMT")); !ok || got.Int64() != at.Unix() {
			t.Fatalf("%v: %v", at, got)
		}
	}
}
