package fetch_test

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// calendar answers with the meetings of a period, at most 1000. There is one an hour, from yesterday on.
func calendar(meetings int) func(*http.Request, http.RoundTripper) (*http.Response, error) {
	begin := time.Now().Add(-24 * time.Hour).UnixMilli()
	return func(request *http.Request, server http.RoundTripper) (*http.Response, error) {
		if request.URL.Path != "/users/meetings/org" {
			return server.RoundTrip(request)
		}
		query := request.URL.Query()
		from, _ := strconv.ParseInt(query.Get("min_start_time"), 10, 64)
		to, _ := strconv.ParseInt(query.Get("max_start_time"), 10, 64)
		var found []string
		for i := range meetings {
			at := begin + int64(i)*time.Hour.Milliseconds()
			if at >= from && at <= to && len(found) < 1000 {
				found = append(found, fmt.Sprintf(`{"eventId":"e%d","slotStart":%d,"schedulerId":%d}`, i, at, 1+i%3))
			}
		}
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
			Body: io.NopCloser(strings.NewReader(`{"data":[` + strings.Join(found, ",") + `]}`)), Request: request}, nil
	}
}

func TestMoreMeetingsThanOneAnswerHolds(t *testing.T) {
	a := newArchive(t, account(t, 3))
	a.network = calendar(2500)
	assert.True(t, a.sync(t).Complete())
	meetings, err := a.Records(t.Context(), "meeting")
	require.NoError(t, err)
	assert.Len(t, meetings, 2500)
}

func TestContactsOfMeetingsAreArchived(t *testing.T) {
	a := newArchive(t, account(t, 3))
	a.network = func(request *http.Request, server http.RoundTripper) (*http.Response, error) {
		if request.URL.Path == "/conversations/list" {
			return replace(request.URL.Path, `{"data":[],"links":{}}`)(request, server)
		}
		return calendar(3)(request, server)
	}
	a.sync(t)
	contact, err := a.Contact(t.Context(), 2)
	require.NoError(t, err)
	assert.Equal(t, "c1@example.com", contact.Email)
}

func TestMeetingsWithOneEventAreAllKept(t *testing.T) {
	a := newArchive(t, account(t, 1))
	a.network = replace("/users/meetings/org",
		`{"data":[{"eventId":"e","slotStart":1},{"eventId":"e","slotStart":2},{"eventId":"f"},{"slotStart":3}]}`)
	for range 2 {
		a.sync(t)
		meetings, err := a.Records(t.Context(), "meeting")
		require.NoError(t, err)
		assert.Len(t, meetings, 4, "each once")
	}
}

func TestLookupsOnceADay(t *testing.T) {
	a := newArchive(t, account(t, 1))
	a.sync(t)
	a.sync(t)
	assert.Equal(t, 1, a.server.Count("classic.users.list"))
	assert.Equal(t, 1, a.server.Count("classic.accounts.list"))
	assert.Equal(t, 2, a.server.Count("classic.meetings.list"), "they are kept for 30 days only")
}
