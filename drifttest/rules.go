package drifttest

import "net/http"

// rules are the requirements of a kind of record beyond the types of its fields. Every operation that writes the record
// shares them, so an update cannot produce a record that a create would refuse.
type rules struct {
	required []string // every record must have these
	keys     []string // the SDK sends these with every create; see WithRequiredKeys
}

var (
	addressRules     = rules{required: []string{"email"}} // of a contact that is found by its e-mail
	interactionRules = rules{keys: []string{"conversation_id"}}
	meetingRules     = rules{required: []string{"start_at"}}
	messageRules     = rules{required: []string{"body"}, keys: []string{"client_message_id", "conversation_id"}}
	noteRules        = rules{keys: []string{"client_id"}}
	participantRules = rules{required: []string{"email"}}
	tagRules         = rules{required: []string{"name"}}
)

// checkRequired refuses null and empty values, and absent ones too unless the request is a PATCH of v2.
func (c *call) checkRequired() error {
	partial := c.operation.method == http.MethodPatch && !c.operation.isClassic()
	for _, name := range c.operation.rules.required {
		value, given := c.params[name]
		switch {
		case !given && !partial:
			return invalid(name, "is missing")
		case given && isEmpty(value):
			return invalid(name, "must not be empty")
		}
	}
	return nil
}

// checkKeys requires the keys that the SDK sends with a create.
func (c *call) checkKeys() error {
	if c.operation.method != http.MethodPost {
		return nil
	}
	for _, name := range c.operation.rules.keys {
		if isEmpty(c.params[name]) {
			return invalid(name, "is missing")
		}
	}
	return nil
}

// isEmpty reports whether a value counts as absent. The instant 0 does: the SDK reads it as the zero time.
func isEmpty(value any) bool { return value == nil || value == "" || value == int64(0) }

// apply runs an operation.
func (st *store) apply(c *call) (any, error) {
	if err := st.checkConversation(c); err != nil {
		return nil, err
	}
	return c.operation.handle(st, c)
}

// checkConversation checks that the conversation_id of a body equals the one in the path. If the path has none, it must
// name an existing conversation.
func (st *store) checkConversation(c *call) error {
	id := c.params.integer("conversation_id")
	if id == 0 {
		return nil // absent, or null in a PATCH
	}
	if own, inPath := c.path["conversationId"]; inPath {
		if id != own {
			return invalid("conversation_id", "differs from the path")
		}
		return nil
	}
	if _, err := st.conversations.get(id); err != nil {
		return invalid("conversation_id", "names a conversation that does not exist")
	}
	return nil
}
