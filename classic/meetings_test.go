package classic_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/classic"
)

var meetingCalls = map[string]goldenCall{
	"meetings.list": func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Meetings.List(ctx, classic.MeetingListOptions{From: instant(0), To: instant(1), Limit: 2})
	},
}

func TestMeetingSpan(t *testing.T) {
	client, requests := recording(t, `{"data": []}`)
	_, err := client.Meetings.List(t.Context(), classic.MeetingListOptions{To: instant(0)})
	require.NoError(t, err)
	_, err = client.Meetings.List(t.Context(), classic.MeetingListOptions{From: time.UnixMilli(-5), To: instant(0), Limit: 1})
	require.NoError(t, err)
	assert.Equal(t, []string{
		"GET /users/meetings/org?limit=1000&max_start_time=1767225600123&min_start_time=0",
		"GET /users/meetings/org?limit=1&max_start_time=1767225600123&min_start_time=0",
	}, *requests)

	for argument, options := range map[string]classic.MeetingListOptions{
		"To": {From: instant(0)}, "limit": {To: instant(0), Limit: 1001},
	} {
		_, err := client.Meetings.List(t.Context(), options)
		requireInvalid(t, err, argument)
	}
	_, err = client.Meetings.List(t.Context(), classic.MeetingListOptions{From: instant(1), To: instant(0)})
	requireInvalid(t, err, "To")
	assert.Len(t, *requests, 2)
}
