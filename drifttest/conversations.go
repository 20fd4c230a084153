package drifttest

import "slices"

// The organisation and the user that the access token belongs to.
const (
	orgID     int64 = 1
	tokenUser int64 = 1
)

func (st *store) getConversation(c *call) (any, error) {
	return st.conversation(c)
}

// conversation returns the conversation in the path.
func (st *store) conversation(c *call) (object, error) {
	return st.conversations.get(c.id("conversationId"))
}

func (st *store) createConversation(c *call) (any, error) {
	conversation := st.openConversation(c.params.without("background_mode", "users"), c.now)
	if users := c.params.integers("users"); len(users) > 0 {
		conversation["participants"] = users
		conversation["member_count"] = int64(len(users))
	}
	st.conversationHappened(conversation)
	return conversation, nil
}

func (st *store) createFromScratch(c *call) (any, error) {
	conversation := st.openConversation(c.params.without("background_mode"), c.now)
	if email := conversation.text("email"); email != "" {
		conversation["contact_id"] = st.contactByEmail(email, c.now).integer("id")
	}
	st.conversationHappened(conversation)
	return conversation, nil
}

func (st *store) openConversation(params object, now int64) object {
	conversation := st.conversations.create(params, now)
	conversation["org_id"] = orgID
	conversation["status"] = "open"
	conversation["direction"] = "outbound"
	conversation["last_activity_at"] = now
	return conversation
}

func (st *store) updateConversation(c *call) (any, error) {
	return st.conversations.update(c.id("conversationId"), c.params, c.now)
}

// deleteConversation also removes the messages and notes of the conversation.
func (st *store) deleteConversation(c *call) (any, error) {
	id := c.id("conversationId")
	st.messages.deleteWithin("conversation_id", id)
	st.notes.deleteWithin("conversation_id", id)
	return nil, st.conversations.delete(id)
}

func (st *store) listConversations(c *call) (any, error) {
	return c.page(st.conversations.records, func(r object) bool {
		return c.matches(r) && hasAllFold(st.namesIn(r), c.params.texts("participants"))
	})
}

func (st *store) listByStatus(c *call) (any, error) {
	return c.page(st.conversations.records, func(r object) bool {
		return c.matches(r) && r.text("status") == c.path.text("status")
	})
}

// namesIn returns the names and addresses of the participants of a conversation: its contact and its users.
func (st *store) namesIn(conversation object) []string {
	names := []string{conversation.text("email")}
	for _, person := range slices.Concat(st.people.records, st.users.records) {
		if slices.Contains(conversation.integers("participants"), person.integer("id")) {
			names = append(names, person.text("name"), person.text("email"))
		}
	}
	return names
}
