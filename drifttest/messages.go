package drifttest

func (st *store) getMessage(c *call) (any, error) {
	return st.messages.getWithin("conversation_id", c.id("conversationId"), c.id("messageId"))
}

// createMessage does not recognize a repeated client_message_id. A message that is sent twice is stored twice, so that
// a test can detect it.
func (st *store) createMessage(c *call) (any, error) {
	conversation, err := st.conversation(c)
	if err != nil {
		return nil, err
	}
	return st.addMessage(conversation, c.params, author(false), c.now), nil
}

func author(bot bool) map[string]any {
	return map[string]any{"id": tokenUser, "type": "user", "bot": bot}
}

func agent(id int64) map[string]any {
	return map[string]any{"id": id, "type": "user", "bot": false}
}

// visitor is the contact of a conversation as the author of a message.
func visitor(conversation object) map[string]any {
	return map[string]any{"id": conversation.integer("contact_id"), "type": "contact", "bot": false}
}

func (st *store) addMessage(conversation, params object, author map[string]any, now int64) object {
	message := st.messages.create(params, now)
	message["conversation_id"] = conversation["id"]
	message["org_id"] = orgID
	if message.text("type") == "" {
		message["type"] = "chat"
	}
	message["author"] = author
	for _, name := range []string{"last_activity_at", "last_message_sent_at", "updated_at"} {
		conversation[name] = now
	}
	st.messageHappened(message)
	return message
}

func (st *store) updateMessage(c *call) (any, error) {
	message, err := st.messages.getWithin("conversation_id", c.id("conversationId"), c.id("messageId"))
	if err != nil {
		return nil, err
	}
	return message.update(c.params, c.now), nil
}
