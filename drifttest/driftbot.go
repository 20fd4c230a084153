package drifttest

import (
	"fmt"
	"html"
	"slices"
)

// updateBotMessage changes the bot's latest message in a conversation.
func (st *store) updateBotMessage(c *call) (any, error) {
	conversation, err := st.conversation(c)
	if err != nil {
		return nil, err
	}
	for _, message := range slices.Backward(st.messages.records) {
		if message["conversation_id"] == conversation["id"] && isBot(message) {
			return message.update(c.params, c.now), nil
		}
	}
	return nil, notFound("message of the bot in conversation", conversation["id"])
}

func isBot(message object) bool {
	author, _ := message["author"].(map[string]any)
	return object(author).flag("bot")
}

// trigger adds a message of the bot that names the action. The interaction has the id of that message: the API cannot
// read interactions.
func (st *store) trigger(c *call) (any, error) {
	conversation, err := st.conversation(c)
	if err != nil {
		return nil, err
	}
	said := object{"body": "Ran action " + html.EscapeString(c.params.text("action_id"))}
	message := st.addMessage(conversation, said, author(true), c.now)

	interaction := c.params.without("conversation_id")
	interaction["id"] = fmt.Sprintf("interaction-%d", message.integer("id"))
	interaction["conversation_id"] = conversation["id"]
	interaction["status"] = "completed"
	interaction["created_at"] = c.now
	return interaction, nil
}
