package drifttest

import (
	"maps"
	"math"
	"strings"
	"time"
)

const (
	meetingAge      = 30 * 24 * time.Hour // older meetings are not listed
	defaultMeetings = 100
)

// classicListMeetings lists the meetings that start within the two instants, both included.
func (st *store) classicListMeetings(c *call) (any, error) {
	from, to := int64(0), int64(math.MaxInt64)
	for name, bound := range map[string]*int64{"min_start_time": &from, "max_start_time": &to} {
		at, ok := c.params[name].(int64)
		if !ok {
			return nil, invalid(name, "is missing")
		}
		*bound = at
	}
	from = max(from, c.now-meetingAge.Milliseconds())
	limit := max(c.params.integer("limit"), 0)
	if limit == 0 {
		limit = defaultMeetings
	}
	meetings := []object{}
	for _, meeting := range st.meetings.records {
		start := meeting.integer("start_at")
		if start >= from && start <= to && len(meetings) < int(limit) {
			meetings = append(meetings, st.classicMeeting(meeting))
		}
	}
	return meetings, nil
}

// classicMeeting shows a meeting as the classic API does, which knows it by the event in the calendar.
func (st *store) classicMeeting(meeting object) object {
	shown := st.meetingData(meeting)
	maps.Copy(shown, object{
		"status":        "ACTIVE",
		"meetingSource": "EMAIL_DROP",
		"meetingType":   "New Meeting",
		"updatedAt":     meeting.integer("updated_at"),
		"isRecurring":   false,
		"isPrivate":     false,
	})
	maps.Copy(shown, pick(meeting, "bookedBy=created_by meetingNotes=notes"))
	if subject := meeting.text("subject"); subject != "" {
		shown["slug"] = strings.ToLower(strings.ReplaceAll(subject, " ", "-"))
	}
	if location := meeting.text("location"); location != "" {
		shown["conferenceType"] = "CUSTOM"
		shown["conferenceDetails"] = object{"join_url": location}
	}
	return shown
}
