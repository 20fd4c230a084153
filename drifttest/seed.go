package drifttest

import (
	"encoding/json"
	"math"

	"github.com/driftsdk/drift"
)

// AddPerson adds a person to a company, and creates the company if necessary. An ID of 0 becomes the next free one; any
// other ID replaces the person that has it.
func (s *Server) AddPerson(companyID drift.CompanyID, person drift.Person) drift.PersonID {
	s.t.Helper()
	record := s.toObject(person)
	record["company_id"] = string(companyID)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store.ensureAccount(string(companyID), s.settings.clock().UnixMilli())
	return drift.PersonID(s.store.people.put(record).integer("id"))
}

// AddTeam adds a team to a company. The rules are those of [Server.AddPerson].
func (s *Server) AddTeam(companyID drift.CompanyID, team drift.Team) drift.TeamID {
	s.t.Helper()
	record := s.toObject(team)
	record["company_id"] = string(companyID)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store.ensureAccount(string(companyID), s.settings.clock().UnixMilli())
	return drift.TeamID(s.store.teams.put(record).integer("id"))
}

// AddContact adds a contact. An ID of 0 becomes the next free one; any other ID replaces the contact that has it. A
// zero CreatedAt or UpdatedAt becomes the time of the server's clock.
func (s *Server) AddContact(contact drift.Contact) drift.ContactID {
	s.t.Helper()
	record := s.toObject(contact)
	s.mu.Lock()
	defer s.mu.Unlock()
	return drift.ContactID(s.store.putContact(record, s.settings.clock().UnixMilli()).integer("id"))
}

// AddConversation adds a conversation, which is open unless it has a Status. The rules for its ID and times are those
// of [Server.AddContact].
func (s *Server) AddConversation(conversation drift.Conversation) drift.ConversationID {
	s.t.Helper()
	if conversation.Status == "" {
		conversation.Status = drift.ConversationStatusOpen
	}
	record := s.toObject(conversation)
	s.mu.Lock()
	defer s.mu.Unlock()
	return drift.ConversationID(s.store.putConversation(record, s.settings.clock().UnixMilli()).integer("id"))
}

// AddMessage adds a message to the conversation that its ConversationID names. Without a Type it is a chat message, and
// without an Author it is from the visitor, the conversation's contact. The rules for its ID and times are those of
// [Server.AddContact]. If the conversation does not exist, AddMessage ends the test that started the server, or panics
// if no test did.
func (s *Server) AddMessage(message drift.Message) drift.MessageID {
	s.t.Helper()
	record := s.toObject(message)
	s.mu.Lock()
	defer s.mu.Unlock()
	conversation, err := s.store.conversations.get(record.integer("conversation_id"))
	if err != nil {
		s.t.Fatalf("drifttest: AddMessage: %v", err)
		return 0
	}
	author, given := record["author"].(map[string]any)
	if !given {
		author = visitor(conversation)
	}
	added := s.store.addMessage(conversation, record, author, s.settings.clock().UnixMilli())
	return drift.MessageID(added.integer("id"))
}

func (st *store) putContact(record object, now int64) object {
	var before map[string]any
	if known, err := st.contacts.get(record.integer("id")); err == nil {
		before = contactAttributes(known)
	}
	contact := st.contacts.create(record, now)
	st.contactHappened(before, contact, now)
	return contact
}

func (st *store) putConversation(record object, now int64) object {
	known, err := st.conversations.get(record.integer("id"))
	conversation := st.conversations.create(record, now)
	switch {
	case err != nil:
		st.conversationHappened(conversation)
	case known.text("status") != conversation.text("status"):
		st.statusHappened(conversation, now)
	}
	return conversation
}

// toObject converts a record of the SDK to one of the store, through its JSON.
func (s *Server) toObject(record any) object {
	s.t.Helper()
	return s.convert(record, stored)
}

// convert encodes a record and converts each of its fields.
func (s *Server) convert(record any, field func(any) any) object {
	s.t.Helper()
	data, err := json.Marshal(record)
	if err != nil {
		s.t.Fatalf("drifttest: %v", err)
		return nil
	}
	value, err := decode(data)
	if err != nil {
		s.t.Fatalf("drifttest: %v", err)
		return nil
	}
	members, _ := value.(map[string]any)
	fields := object{}
	for name, value := range members {
		fields[name] = field(value)
	}
	if id := fields.integer("id"); id < 0 || id == math.MaxInt64 {
		s.t.Fatalf("drifttest: an id must be greater than 0 and less than the greatest int64: %d", id)
		return nil
	}
	return fields
}

// stored converts a field to the type that the store uses for it.
func stored(value any) any {
	switch value := value.(type) {
	case json.Number:
		return storedNumber(value)
	case []any:
		return storedList(value)
	}
	return value
}

// storedNumber makes a number an int64 if it is one, and leaves every other value as it is.
func storedNumber(value any) any {
	if digits, ok := value.(json.Number); ok {
		if n, err := digits.Int64(); err == nil {
			return n
		}
	}
	return value
}

// storedList makes a list of ids or of names; a tag is stored by its name. Other lists do not change.
func storedList(items []any) any {
	if numbers, ok := kindIDs.check(items); ok && len(items) > 0 {
		return numbers
	}
	if names, ok := list(items, nameOf); ok {
		return names
	}
	return items
}

func nameOf(item any) (string, bool) {
	if tag, ok := item.(map[string]any); ok {
		item = tag["name"]
	}
	name, ok := item.(string)
	return name, ok
}
