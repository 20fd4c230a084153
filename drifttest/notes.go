package drifttest

func (st *store) getNote(c *call) (any, error) {
	return st.notes.getWithin("conversation_id", c.id("conversationId"), c.id("noteId"))
}

func (st *store) createNote(c *call) (any, error) {
	conversation, err := st.conversation(c)
	if err != nil {
		return nil, err
	}
	return st.addNote(conversation, c.params, c.now), nil
}

func (st *store) addNote(conversation, params object, now int64) object {
	note := st.notes.create(params, now)
	note["conversation_id"] = conversation["id"]
	conversation["last_activity_at"] = now
	return note
}

func (st *store) updateNote(c *call) (any, error) {
	note, err := st.notes.getWithin("conversation_id", c.id("conversationId"), c.id("noteId"))
	if err != nil {
		return nil, err
	}
	return note.update(c.params, c.now), nil
}
