package drifttest

import (
	"slices"
	"time"
)

func (st *store) getMeeting(c *call) (any, error) {
	meeting, err := st.meetings.get(c.id("meetingId"))
	return st.showMeeting(meeting, c.now), err
}

func (st *store) createMeeting(c *call) (any, error) {
	meeting := st.meetings.create(c.params, c.now)
	st.meetingHappened("new_meeting", meeting, nil)
	return st.showMeeting(meeting, c.now), nil
}

func (st *store) updateMeeting(c *call) (any, error) {
	meeting, err := st.meetings.get(c.id("meetingId"))
	if err != nil {
		return nil, err
	}
	start, end := meeting.integer("start_at"), endOf(meeting)
	meeting.update(c.params, c.now)
	if meeting.integer("start_at") != start || endOf(meeting) != end {
		st.meetingHappened("meeting_updated", meeting, object{"eventType": "rescheduled"})
	}
	return st.showMeeting(meeting, c.now), nil
}

func (st *store) deleteMeeting(c *call) (any, error) {
	id := c.id("meetingId")
	meeting, err := st.meetings.get(id)
	if err != nil {
		return nil, err
	}
	st.participants.deleteWithin("meeting_id", id)
	st.meetingHappened("meeting_updated", meeting, object{"eventType": "canceled"})
	return nil, st.meetings.delete(id)
}

func (st *store) listMeetings(c *call) (any, error) {
	return c.page(st.shownMeetings(c.now), func(r object) bool {
		return c.matches(r) && hasAllFold(st.namesAt(r), c.params.texts("participants"))
	})
}

func (st *store) shownMeetings(now int64) []object {
	meetings := make([]object, len(st.meetings.records))
	for i, meeting := range st.meetings.records {
		meetings[i] = st.showMeeting(meeting, now)
	}
	return meetings
}

func (st *store) addParticipant(c *call) (any, error) {
	meeting, err := st.meetings.get(c.id("meetingId"))
	if err != nil {
		return nil, err
	}
	participant := c.params.without()
	participant["meeting_id"] = meeting["id"]
	st.participants.put(participant)
	meeting["participant_ids"] = append(slices.Clip(meeting.integers("participant_ids")), participant.integer("id"))
	meeting["updated_at"] = c.now
	return participant, nil
}

// showMeeting adds the fields that follow from others: the participants, and whether the meeting is in progress.
func (st *store) showMeeting(meeting object, now int64) object {
	if meeting == nil {
		return nil
	}
	shown := meeting.without()
	if participants := st.participantsOf(meeting); len(participants) > 0 {
		shown["participants"] = participants
	}
	shown["in_progress"] = meeting.integer("start_at") <= now && now < endOf(meeting)
	return shown
}

func (st *store) participantsOf(meeting object) []object {
	var participants []object
	for _, id := range meeting.integers("participant_ids") {
		if participant, err := st.participants.get(id); err == nil {
			participants = append(participants, participant)
		}
	}
	return participants
}

// endOf returns when a meeting ended, or will end by its duration.
func endOf(meeting object) int64 {
	if ended, ok := meeting["ended_at"].(int64); ok {
		return ended
	}
	return meeting.integer("start_at") + meeting.integer("duration")*time.Minute.Milliseconds()
}

func (st *store) namesAt(meeting object) []string {
	var names []string
	for _, p := range st.participantsOf(meeting) {
		names = append(names, p.text("email"), p.text("first_name")+" "+p.text("last_name"))
	}
	return names
}
