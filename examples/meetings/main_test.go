package main

import (
	"bytes"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
	"github.com/driftsdk/drift/examples/internal/clitest"
)

func TestMain(m *testing.M) { clitest.Main(m, main) }

func TestStarts(t *testing.T) { clitest.Transcript(t, clitest.WithToken(t, "-write")) }

func TestCtrlC(t *testing.T) { clitest.CtrlC(t, "-write") }

var monday = time.Date(2026, time.March, 2, 0, 0, 0, 0, time.FixedZone("CET", 60*60))

func TestRun(t *testing.T) {
	srv := drifttest.Start(t)
	client := srv.Client()
	about := srv.AddConversation(drift.Conversation{Title: "Invoice", Email: "grace@example.com", AssignedUserID: 3})
	for _, start := range []time.Time{monday.Add(-time.Hour), monday.Add(50 * time.Hour), monday.AddDate(0, 0, 7).Add(time.Hour)} {
		_, err := client.Meetings.Create(t.Context(), drift.MeetingCreateRequest{StartAt: start})
		require.NoError(t, err)
	}
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), client, monday, &out))

	meeting, err := client.Meetings.Get(t.Context(), 4)
	require.NoError(t, err)
	assert.Equal(t, about, meeting.ConversationID)
	assert.Equal(t, 30*time.Minute, meeting.Duration)
	assert.True(t, meeting.StartAt.Equal(monday.Add(11*time.Hour)), meeting.StartAt)
	assert.Equal(t, "Invoice", meeting.Subject)
	require.Len(t, meeting.Participants, 1)
	assert.Equal(t, "grace@example.com", meeting.Participants[0].Email)

	want := "Booked meeting 4 about \"Invoice\": Mon 10:00, 30m0s.\n" +
		"Invited grace@example.com.\n" +
		"Moved it to Mon 11:00.\n" +
		"The week of 2 March 2026:\n" +
		"  Wed 02:00  \n" +
		"  Mon 11:00  Invoice  grace@example.com\n"
	assert.Equal(t, want, out.String())
}

func TestBooksOnce(t *testing.T) {
	srv := drifttest.Start(t, drifttest.WithDemoData())
	srv.Fail("meetings.create", drifttest.Fault{Status: http.StatusBadGateway, Applied: true})
	var out bytes.Buffer

	err := run(t.Context(), srv.Client(), monday, &out)

	assert.ErrorIs(t, err, drift.ErrAmbiguous)
	assert.ErrorContains(t, err, "Mon, 02 Mar 2026 10:00:00 CET")
	assert.Equal(t, 1, srv.Count("meetings.create"))
	assert.Empty(t, out.String())
}

func TestNeedsAConversation(t *testing.T) {
	srv := drifttest.Start(t)
	assert.ErrorContains(t, run(t.Context(), srv.Client(), monday, &bytes.Buffer{}), "no open conversation")
	assert.Zero(t, srv.Count("meetings.create"))
}

func TestNextMonday(t *testing.T) {
	for day := range 7 {
		now := monday.AddDate(0, 0, day).Add(15 * time.Hour)
		assert.Equal(t, monday.AddDate(0, 0, 7), nextMonday(now), now.Weekday())
	}
}
