package webhook

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/driftsdk/drift/internal/wire"
)

// unmarshal decodes into a view of a type without methods. Its errors quote nothing of what is decoded.
func unmarshal(data []byte, fields any) error { return wire.Unmarshal(data, fields) }

// adopt takes a field that came under its other name out of extra, where it fits.
func adopt(extra *map[string]json.RawMessage, other string, take func(value []byte) error) {
	for _, name := range slices.Sorted(maps.Keys(*extra)) {
		if wire.Fold(name) == other && take((*extra)[name]) == nil {
			delete(*extra, name)
			break
		}
	}
	if len(*extra) == 0 {
		*extra = nil
	}
}

type contactFields Contact

// UnmarshalJSON decodes the payload as Drift sends it, or as MarshalJSON wrote it.
func (c *Contact) UnmarshalJSON(data []byte) error { return unmarshal(data, (*contactFields)(c)) }

// MarshalJSON encodes the payload with Drift's names and units, Extra included.
func (c Contact) MarshalJSON() ([]byte, error) { return wire.Marshal(contactFields(c)) }

type contactChangeFields ContactChange

// UnmarshalJSON decodes the payload as Drift sends it, or as MarshalJSON wrote it.
func (c *ContactChange) UnmarshalJSON(data []byte) error {
	return unmarshal(data, (*contactChangeFields)(c))
}

// MarshalJSON encodes the payload with Drift's names and units, Extra included.
func (c ContactChange) MarshalJSON() ([]byte, error) { return wire.Marshal(contactChangeFields(c)) }

type messageFields Message

// UnmarshalJSON decodes the payload as Drift sends it, or as MarshalJSON wrote it.
func (m *Message) UnmarshalJSON(data []byte) error {
	if err := unmarshal(data, (*messageFields)(m)); err != nil {
		return err
	}
	if m.Attachments == nil {
		adopt(&m.Extra, "attachment", m.takeAttachment)
	}
	return nil
}

// takeAttachment accepts one attachment, or a list of them.
func (m *Message) takeAttachment(value []byte) error {
	var list []Attachment
	if unmarshal(value, &list) == nil {
		m.Attachments = list
		return nil
	}
	var one Attachment
	if err := unmarshal(value, &one); err != nil {
		return err
	}
	m.Attachments = []Attachment{one}
	return nil
}

// MarshalJSON encodes the payload with Drift's names and units, Extra included.
func (m Message) MarshalJSON() ([]byte, error) { return wire.Marshal(messageFields(m)) }

type messageContextFields MessageContext

// UnmarshalJSON decodes the payload as Drift sends it, or as MarshalJSON wrote it.
func (m *MessageContext) UnmarshalJSON(data []byte) error {
	return unmarshal(data, (*messageContextFields)(m))
}

// MarshalJSON encodes the payload with Drift's names and units, Extra included.
func (m MessageContext) MarshalJSON() ([]byte, error) { return wire.Marshal(messageContextFields(m)) }

type conversationFields Conversation

// UnmarshalJSON decodes the payload as Drift sends it, or as MarshalJSON wrote it.
func (c *Conversation) UnmarshalJSON(data []byte) error {
	return unmarshal(data, (*conversationFields)(c))
}

// MarshalJSON encodes the payload with Drift's names and units, Extra included.
func (c Conversation) MarshalJSON() ([]byte, error) { return wire.Marshal(conversationFields(c)) }

type conversationReferenceFields ConversationReference

// UnmarshalJSON decodes the payload as Drift sends it, or as MarshalJSON wrote it.
func (c *ConversationReference) UnmarshalJSON(data []byte) error {
	if err := unmarshal(data, (*conversationReferenceFields)(c)); err != nil {
		return err
	}
	if c.ConversationID == 0 {
		adopt(&c.Extra, "id", c.ConversationID.UnmarshalJSON)
	}
	return nil
}

// MarshalJSON encodes the payload with Drift's names and units, Extra included.
func (c ConversationReference) MarshalJSON() ([]byte, error) {
	return wire.Marshal(conversationReferenceFields(c))
}

type inactivityFields Inactivity

// UnmarshalJSON decodes the payload as Drift sends it, or as MarshalJSON wrote it.
func (i *Inactivity) UnmarshalJSON(data []byte) error { return unmarshal(data, (*inactivityFields)(i)) }

// MarshalJSON encodes the payload with Drift's names and units, Extra included.
func (i Inactivity) MarshalJSON() ([]byte, error) { return wire.Marshal(inactivityFields(i)) }

type participantsAddedFields ParticipantsAdded

// UnmarshalJSON decodes the payload as Drift sends it, or as MarshalJSON wrote it.
func (p *ParticipantsAdded) UnmarshalJSON(data []byte) error {
	return unmarshal(data, (*participantsAddedFields)(p))
}

// MarshalJSON encodes the payload with Drift's names and units, Extra included.
func (p ParticipantsAdded) MarshalJSON() ([]byte, error) {
	return wire.Marshal(participantsAddedFields(p))
}

type participantsRemovedFields ParticipantsRemoved

// UnmarshalJSON decodes the payload as Drift sends it, or as MarshalJSON wrote it.
func (p *ParticipantsRemoved) UnmarshalJSON(data []byte) error {
	return unmarshal(data, (*participantsRemovedFields)(p))
}

// MarshalJSON encodes the payload with Drift's names and units, Extra included.
func (p ParticipantsRemoved) MarshalJSON() ([]byte, error) {
	return wire.Marshal(participantsRemovedFields(p))
}

type statusChangeFields StatusChange

// UnmarshalJSON decodes the payload as Drift sends it, or as MarshalJSON wrote it.
func (s *StatusChange) UnmarshalJSON(data []byte) error {
	return unmarshal(data, (*statusChangeFields)(s))
}

// MarshalJSON encodes the payload with Drift's names and units, Extra included.
func (s StatusChange) MarshalJSON() ([]byte, error) { return wire.Marshal(statusChangeFields(s)) }

type buttonPressFields ButtonPress

// UnmarshalJSON decodes the payload as Drift sends it, or as MarshalJSON wrote it.
func (b *ButtonPress) UnmarshalJSON(data []byte) error {
	return unmarshal(data, (*buttonPressFields)(b))
}

// MarshalJSON encodes the payload with Drift's names and units, Extra included.
func (b ButtonPress) MarshalJSON() ([]byte, error) { return wire.Marshal(buttonPressFields(b)) }

type phoneNumberFields PhoneNumber

// UnmarshalJSON decodes the payload as Drift sends it, or as MarshalJSON wrote it.
func (p *PhoneNumber) UnmarshalJSON(data []byte) error {
	return unmarshal(data, (*phoneNumberFields)(p))
}

// MarshalJSON encodes the payload with Drift's names and units, Extra included.
func (p PhoneNumber) MarshalJSON() ([]byte, error) { return wire.Marshal(phoneNumberFields(p)) }

type meetingFields Meeting

// UnmarshalJSON decodes the payload as Drift sends it, or as MarshalJSON wrote it.
func (m *Meeting) UnmarshalJSON(data []byte) error { return unmarshal(data, (*meetingFields)(m)) }

// MarshalJSON encodes the payload with Drift's names and units, Extra included.
func (m Meeting) MarshalJSON() ([]byte, error) { return wire.Marshal(meetingFields(m)) }

type goalFields Goal

// UnmarshalJSON decodes the payload as Drift sends it, or as MarshalJSON wrote it.
func (g *Goal) UnmarshalJSON(data []byte) error { return unmarshal(data, (*goalFields)(g)) }

// MarshalJSON encodes the payload with Drift's names and units, Extra included.
func (g Goal) MarshalJSON() ([]byte, error) { return wire.Marshal(goalFields(g)) }

type userAvailabilityFields UserAvailability

// UnmarshalJSON decodes the payload as Drift sends it, or as MarshalJSON wrote it.
func (u *UserAvailability) UnmarshalJSON(data []byte) error {
	return unmarshal(data, (*userAvailabilityFields)(u))
}

// MarshalJSON encodes the payload with Drift's names and units, Extra included.
func (u UserAvailability) MarshalJSON() ([]byte, error) {
	return wire.Marshal(userAvailabilityFields(u))
}

type callFields Call

// UnmarshalJSON decodes the payload as Drift sends it, or as MarshalJSON wrote it.
func (c *Call) UnmarshalJSON(data []byte) error { return unmarshal(data, (*callFields)(c)) }

// MarshalJSON encodes the payload with Drift's names and units, Extra included.
func (c Call) MarshalJSON() ([]byte, error) { return wire.Marshal(callFields(c)) }

type deletionRequestFields DeletionRequest

// UnmarshalJSON decodes the payload as Drift sends it, or as MarshalJSON wrote it.
func (d *DeletionRequest) UnmarshalJSON(data []byte) error {
	return unmarshal(data, (*deletionRequestFields)(d))
}

// MarshalJSON encodes the payload with Drift's names and units, Extra included.
func (d DeletionRequest) MarshalJSON() ([]byte, error) { return wire.Marshal(deletionRequestFields(d)) }

type disconnectionFields Disconnection

// UnmarshalJSON decodes the payload as Drift sends it, or as MarshalJSON wrote it.
func (d *Disconnection) UnmarshalJSON(data []byte) error {
	return unmarshal(data, (*disconnectionFields)(d))
}

// MarshalJSON encodes the payload with Drift's names and units, Extra included.
func (d Disconnection) MarshalJSON() ([]byte, error) { return wire.Marshal(disconnectionFields(d)) }
