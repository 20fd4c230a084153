package drifttest

import (
	"encoding/json"
	"math"

	"github.com/driftsdk/drift"
)

// AddPerson adds a person to a company, which exists from then on. An ID of 0 becomes the next one; any other ID
// replaces the person that had it.
func (s *Server) AddPerson(companyID drift.CompanyID, person drift.Person) drift.PersonID {
	s.t.Helper()
	record := s.toObject(person)
	record["company_id"] = string(companyID)
	s.mu.Lock()
	defer s.mu.Unlock()
	return drift.PersonID(s.store.people.put(record).integer("id"))
}

// AddTeam adds a team to a company, by the rules of [Server.AddPerson].
func (s *Server) AddTeam(companyID drift.CompanyID, team drift.Team) drift.TeamID {
	s.t.Helper()
	record := s.toObject(team)
	record["company_id"] = string(companyID)
	s.mu.Lock()
	defer s.mu.Unlock()
	return drift.TeamID(s.store.teams.put(record).integer("id"))
}

// AddContact adds a contact. An ID of 0 becomes the next one; any other ID replaces the contact that had it. CreatedAt
// and UpdatedAt become the time of the server's clock if they are zero.
func (s *Server) AddContact(contact drift.Contact) drift.ContactID {
	s.t.Helper()
	record := s.toObject(contact)
	s.mu.Lock()
	defer s.mu.Unlock()
	return drift.ContactID(s.store.putContact(record, s.settings.clock().UnixMilli()).integer("id"))
}

// AddConversation adds a conversation, by the rules of [Server.AddContact]. It is open unless its Status says
// otherwise.
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

// AddMessage adds a message to the conversation that its ConversationID names, by the rules of [Server.AddContact]. It
// is a chat message of the conversation's contact, the visitor, unless its Type and Author say otherwise. A
// conversation that does not exist ends the test that started the server, or panics if no test did.
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
		author = map[string]any{"id": conversation.integer("contact_id"), "type": "contact", "bot": false}
	}
	return drift.MessageID(s.store.addMessage(conversation, record, author, s.settings.clock().UnixMilli()).integer("id"))
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

// toObject turns a record of the SDK into one of the store, by way of the wire.
func (s *Server) toObject(record any) object {
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
		fields[name] = stored(value)
	}
	if id := fields.integer("id"); id < 0 || id == math.MaxInt64 {
		s.t.Fatalf("drifttest: an id must be greater than 0, and leave room for others: %d", id)
		return nil
	}
	return fields
}

// stored gives a field the type that the store keeps it in.
func stored(value any) any {
	switch value := value.(type) {
	case json.Number:
		if n, err := value.Int64(); err == nil {
			return n
		}
	case []any:
		return storedList(value)
	}
	return value
}

// storedList makes a list of ids or of names; a tag is kept by its name. Other lists stay as they are.
func storedList(items []any) any {
	if numbers, ok := list(items, func(item any) (int64, bool) { return integer(item, 1, math.MaxInt64) }); ok && len(items) > 0 {
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
