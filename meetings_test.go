package drift_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/testkit"
)

var meetingCalls = map[string]goldenCall{
	"meetings.get": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Meetings.Get(ctx, 16)
	},
	"meetings.create": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Meetings.Create(ctx, drift.MeetingCreateRequest{
			ConversationID: 42, CreatedBy: 7, Duration: 45 * time.Minute, StartAt: instant(0), UpdatedBy: 8,
		})
	},
	"meetings.update": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Meetings.Update(ctx, 16, drift.MeetingUpdateRequest{
			ConversationID: drift.Set(drift.ConversationID(42)), Duration: drift.Set(time.Hour), EndedAt: drift.Null[time.Time](),
			Location: drift.Set(""), Notes: drift.Set("Bring slides"), ParticipantIDs: drift.Set([]drift.ParticipantID{17, 18}),
			StartAt: drift.Set(instant(0)), Subject: drift.Set("Demo"), UpdatedBy: drift.Set(drift.UserID(8)),
		})
	},
	"meetings.delete": func(ctx context.Context, c *drift.Client) (any, error) {
		return nil, c.Meetings.Delete(ctx, 16)
	},
	"meetings.list": func(ctx context.Context, c *drift.Client) (any, error) {
		return page(c.Meetings.List(ctx, drift.MeetingListOptions{
			CreatedAfter: instant(0), CreatedBefore: instant(1), CreatedBy: 7, Direction: drift.DirectionOutbound, Duration: 45 * time.Minute,
			EndedAt: instant(2), EventType: "demo", ID: 16, InProgress: new(false), Location: "Room 4", Notes: "Bring slides",
			ParticipantIDs: []drift.ParticipantID{17, 18}, Participants: []string{"Bob Bell"}, StartAfter: instant(3), StartBefore: instant(4),
			StartAt: instant(5), Subject: "Demo", UpdatedBy: 8, UpdatedSince: instant(6), UsePreciseFilters: new(true), Limit: 2, Cursor: "cursor-1",
		}))
	},
	"meetings.addParticipant": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Meetings.AddParticipant(ctx, 16, drift.MeetingAddParticipantRequest{
			Email: "bob@example.com", FirstName: "Bob", LastName: "Bell",
		})
	},
}

func TestZeroTimeOfAnyLocationIsNotSent(t *testing.T) {
	var query string
	client := testkit.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		query = r.URL.RawQuery
		_, _ = io.WriteString(w, `{"data":[]}`)
	})
	zone := time.FixedZone("", 3600)
	_, err := client.Meetings.List(t.Context(), drift.MeetingListOptions{StartAfter: time.Time{}.In(zone), Subject: "a"})
	require.NoError(t, err)
	assert.Equal(t, "limit=100&subject=a", query)
}
