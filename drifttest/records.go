package drifttest

import (
	"encoding/json"
	"slices"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
)

// Conversations returns copies of all conversations, in the order of their ids. This and the other methods that read
// records back tell a test what its code wrote; they are no requests, so faults and limits do not apply to them.
func (s *Server) Conversations() []*drift.Conversation {
	s.t.Helper()
	return recordsOf[drift.Conversation](s, func(st *store) []object { return st.conversations.records })
}

// Messages returns copies of the messages of a conversation, in the order of their ids. Private notes are notes; see
// [Server.Notes]. A conversation that does not exist has none.
func (s *Server) Messages(conversation drift.ConversationID) []*drift.Message {
	s.t.Helper()
	return recordsOf[drift.Message](s, func(st *store) []object {
		return st.messages.within("conversation_id", int64(conversation))
	})
}

// Notes returns copies of the notes of a conversation, in the order of their ids. A message that the classic API
// creates with the type private_note is one of them. A conversation that does not exist has none.
func (s *Server) Notes(conversation drift.ConversationID) []*drift.Note {
	s.t.Helper()
	return recordsOf[drift.Note](s, func(st *store) []object {
		return st.notes.within("conversation_id", int64(conversation))
	})
}

// Contacts returns copies of all contacts, in the order of their ids.
func (s *Server) Contacts() []*drift.Contact {
	s.t.Helper()
	return recordsOf[drift.Contact](s, func(st *store) []object { return st.contacts.records })
}

// Tags returns copies of all tags of the account, in the order of their ids.
func (s *Server) Tags() []*drift.Tag {
	s.t.Helper()
	return recordsOf[drift.Tag](s, func(st *store) []object { return st.tags.records })
}

// Meetings returns copies of all meetings with their participants, in the order of their ids.
func (s *Server) Meetings() []*drift.Meeting {
	s.t.Helper()
	return recordsOf[drift.Meeting](s, func(st *store) []object {
		return st.shownMeetings(s.settings.clock().UnixMilli())
	})
}

// Users returns copies of all users, bots included, in the order of their ids.
func (s *Server) Users() []*classic.User {
	s.t.Helper()
	return recordsOf[classic.User](s, func(st *store) []object { return each(st.users.records, showUser) })
}

// Accounts returns copies of all accounts in the order in which they were added, those that were deleted included.
func (s *Server) Accounts() []*classic.Account {
	s.t.Helper()
	return recordsOf[classic.Account](s, func(st *store) []object { return each(st.accounts.records, showAccount) })
}

// TimelineEvents returns copies of the events on a contact's timeline, in the order of the requests. The API has no way
// to read them. A contact that does not exist has none.
func (s *Server) TimelineEvents(contact drift.ContactID) []*classic.TimelineEvent {
	s.t.Helper()
	return recordsOf[classic.TimelineEvent](s, func(st *store) []object {
		return each(st.timeline.within("contactId", int64(contact)), showTimelineEvent)
	})
}

// each returns the records as an answer shows them.
func each(records []object, show func(object) object) []object {
	shown := make([]object, len(records))
	for i, record := range records {
		shown[i] = show(record)
	}
	return shown
}

// Unsubscribed returns the addresses that the classic API unsubscribed, in the order of the requests. The API has no
// way to read them.
func (s *Server) Unsubscribed() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.store.unsubscribed)
}

// recordsOf decodes records of the store as a client decodes an answer.
func recordsOf[T any](s *Server, choose func(*store) []object) []*T {
	s.t.Helper()
	s.mu.Lock()
	data := encode(choose(s.store))
	s.mu.Unlock()
	var records []*T
	if err := json.Unmarshal(data, &records); err != nil {
		s.t.Fatalf("drifttest: a record does not decode: %v", err)
	}
	return records
}
