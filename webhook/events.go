package webhook

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/wire"
)

// EventType is the kind of an event. Drift may send more of them than this package knows; see [UnknownEvent].
type EventType string

// The known types. Of those marked as legacy Drift has another name or another event by now.
const (
	EventTypeContactIdentified              EventType = "contact_identified"
	EventTypeContactUpdated                 EventType = "contact_updated"
	EventTypeNewMessage                     EventType = "new_message"
	EventTypeNewCommandMessage              EventType = "new_command_message"
	EventTypeNewConversation                EventType = "new_conversation"
	EventTypeConversationPush               EventType = "conversation_push"
	EventTypeConversationInactive           EventType = "conversation_inactive"
	EventTypeConversationManualPush         EventType = "conversation_manual_push"
	EventTypeConversationParticipantAdded   EventType = "conversation_participant_added"
	EventTypeConversationParticipantRemoved EventType = "conversation_participant_removed"
	EventTypeConversationStatusUpdated      EventType = "conversation_status_updated" // legacy
	EventTypeConversationStatusChange       EventType = "conversation_status_change"  // legacy, the same event
	EventTypeButtonClicked                  EventType = "button_clicked"
	EventTypeButtonAction                   EventType = "button_action" // legacy
	EventTypePhoneCaptured                  EventType = "phone_captured"
	EventTypeNewMeeting                     EventType = "new_meeting"
	EventTypeMeetingUpdated                 EventType = "meeting_updated"
	EventTypePlaybookGoalMet                EventType = "playbook_goal_met"
	EventTypeUserAvailabilityUpdated        EventType = "user_availability_updated"
	EventTypeUserUnsubscribed               EventType = "user_unsubscribed"
	EventTypeUserUnsubscribe                EventType = "user_unsubscribe" // legacy, the same event
	EventTypeChatToCall                     EventType = "chat_to_call"
	EventTypeGDPRDeleteRequested            EventType = "gdpr_delete_requested"
	EventTypeAppDisconnected                EventType = "app_disconnected"
)

var newEvent = map[EventType]func() Event{
	EventTypeContactIdentified:              func() Event { return new(ContactIdentified) },
	EventTypeContactUpdated:                 func() Event { return new(ContactUpdated) },
	EventTypeNewMessage:                     func() Event { return new(NewMessage) },
	EventTypeNewCommandMessage:              func() Event { return new(NewCommandMessage) },
	EventTypeNewConversation:                func() Event { return new(NewConversation) },
	EventTypeConversationPush:               func() Event { return new(ConversationPush) },
	EventTypeConversationInactive:           func() Event { return new(ConversationInactive) },
	EventTypeConversationManualPush:         func() Event { return new(ConversationManualPush) },
	EventTypeConversationParticipantAdded:   func() Event { return new(ConversationParticipantAdded) },
	EventTypeConversationParticipantRemoved: func() Event { return new(ConversationParticipantRemoved) },
	EventTypeConversationStatusUpdated:      func() Event { return new(ConversationStatusUpdated) },
	EventTypeConversationStatusChange:       func() Event { return new(ConversationStatusUpdated) },
	EventTypeButtonClicked:                  func() Event { return new(ButtonClicked) },
	EventTypeButtonAction:                   func() Event { return new(ButtonAction) },
	EventTypePhoneCaptured:                  func() Event { return new(PhoneCaptured) },
	EventTypeNewMeeting:                     func() Event { return new(NewMeeting) },
	EventTypeMeetingUpdated:                 func() Event { return new(MeetingUpdated) },
	EventTypePlaybookGoalMet:                func() Event { return new(PlaybookGoalMet) },
	EventTypeUserAvailabilityUpdated:        func() Event { return new(UserAvailabilityUpdated) },
	EventTypeUserUnsubscribed:               func() Event { return new(UserUnsubscribed) },
	EventTypeUserUnsubscribe:                func() Event { return new(UserUnsubscribed) },
	EventTypeChatToCall:                     func() Event { return new(ChatToCall) },
	EventTypeGDPRDeleteRequested:            func() Event { return new(GDPRDeleteRequested) },
	EventTypeAppDisconnected:                func() Event { return new(AppDisconnected) },
}

// IsKnown reports whether this package has a type for such events.
func (t EventType) IsKnown() bool {
	_, ok := newEvent[t]
	return ok
}

// Event is a pointer to one of the event types of this package, such as [*NewMessage], or an [*UnknownEvent].
type Event interface {
	// EventType returns the type as it was sent.
	EventType() EventType

	// EventOrgID returns the organization that the event belongs to: of an app that several use,
	// the one to act for.
	EventOrgID() drift.OrgID

	// OccurredAt returns when it happened, by the clock of Drift and in UTC, or the zero time where
	// the event does not tell.
	OccurredAt() time.Time

	fill(p *parts) error
}

// Parse returns the event of one delivery, or of what [json.Marshal] made of an event. It reads strictly: it refuses
// with a [*drift.DecodeError] anything but a JSON object with a type, bytes that are not UTF-8, and a name that comes
// twice in one object, whatever its case. It does not look at the token, which the event does not hold either.
//
// A field whose value does not fit is zero, and its value is in Extra. If the data are not an object at all, the
// event is an [*UnknownEvent].
func Parse(body []byte) (Event, error) {
	p, err := readTyped(body)
	if err != nil {
		return nil, decodeError("webhook.Parse", err)
	}
	return p.event(), nil
}

// event returns an UnknownEvent for data that do not fit: Drift may change an event, and refusing it would help no one.
func (p *parts) event() Event {
	create, ok := newEvent[p.eventType]
	if !ok {
		return p.unknown(nil)
	}
	event := create()
	if err := event.fill(p); err != nil {
		return p.unknown(decodeError(string(p.eventType), err))
	}
	return event
}

func (p *parts) unknown(err error) *UnknownEvent {
	org, _ := p.org()
	return &UnknownEvent{Type: p.eventType, OrgID: org, Raw: p.raw, Err: err}
}

func decodeError(operation string, err error) error {
	var path string
	if e, ok := wire.Explain(err).(*wire.Error); ok {
		path, err = e.Path, e.Reason
	}
	return &drift.DecodeError{Operation: operation, Path: path, Err: err}
}

// Delivery is what every event consists of; D is its payload. The token of a delivery is not part of it.
type Delivery[D any] struct {
	Type  EventType
	OrgID drift.OrgID
	Data  D // zero where the delivery has none

	// Extra holds the fields beside the data that this type does not have; nil when there are none.
	Extra map[string]json.RawMessage
}

// EventType returns the Type.
func (d *Delivery[D]) EventType() EventType { return d.Type }

// EventOrgID returns the OrgID.
func (d *Delivery[D]) EventOrgID() drift.OrgID { return d.OrgID }

func (d *Delivery[D]) fill(p *parts) error {
	*d = Delivery[D]{Type: p.eventType, Extra: p.extra()}
	d.OrgID, _ = p.org()
	if p.data.value == nil {
		return nil
	}
	return wire.Below("/data", p.data.value.DecodeKeep(&d.Data))
}

// UnmarshalJSON decodes a delivery as Drift sends it, or as MarshalJSON wrote it.
func (d *Delivery[D]) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*d = Delivery[D]{}
		return nil
	}
	p, err := readParts(data)
	if err != nil {
		return err
	}
	return d.fill(p)
}

// MarshalJSON encodes the delivery with Drift's names and units, Extra included, and without a token.
func (d Delivery[D]) MarshalJSON() ([]byte, error) {
	data, err := wire.Marshal(d.Data)
	if err != nil {
		return nil, err
	}
	return wire.Marshal(deliveryFields{Type: d.Type, OrgID: d.OrgID, Data: data, Extra: d.Extra})
}

type deliveryFields struct {
	Type  EventType                  `json:"type"`
	OrgID drift.OrgID                `json:"orgId,omitzero"`
	Data  json.RawMessage            `json:"data,omitzero"`
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// UnknownEvent is an event of a type that this package does not know, or one whose data are not an object.
type UnknownEvent struct {
	Type  EventType
	OrgID drift.OrgID     // 0 where it does not fit
	Raw   json.RawMessage // the whole delivery without its token
	Err   error           // why the data of a known type do not fit; nil for an unknown type
}

// EventType returns the Type.
func (e *UnknownEvent) EventType() EventType { return e.Type }

// EventOrgID returns the OrgID.
func (e *UnknownEvent) EventOrgID() drift.OrgID { return e.OrgID }

// OccurredAt returns the zero time.
func (e *UnknownEvent) OccurredAt() time.Time { return time.Time{} }

func (e *UnknownEvent) fill(p *parts) error {
	*e = *p.unknown(nil)
	if _, fits := p.org(); !fits {
		return &wire.Error{Path: "/orgId", Reason: wire.ErrInteger}
	}
	return nil
}

// UnmarshalJSON decodes any delivery.
func (e *UnknownEvent) UnmarshalJSON(data []byte) error {
	p, err := readTyped(data)
	if err != nil {
		return err
	}
	p.raw = bytes.Clone(p.raw)
	return e.fill(p)
}

// MarshalJSON returns Raw, or, where there is none, a delivery without data.
func (e UnknownEvent) MarshalJSON() ([]byte, error) {
	if e.Raw == nil {
		return wire.Marshal(deliveryFields{Type: e.Type, OrgID: e.OrgID})
	}
	return e.Raw, nil
}

// ContactIdentified is sent when a visitor becomes known, for instance by leaving an e-mail address.
type ContactIdentified struct{ Delivery[Contact] }

// OccurredAt returns the zero time: the contact's CreatedAt is when it was first seen.
func (e *ContactIdentified) OccurredAt() time.Time { return time.Time{} }

// ContactUpdated lists the attributes of a contact that changed.
type ContactUpdated struct{ Delivery[ContactChange] }

// OccurredAt returns the Timestamp.
func (e *ContactUpdated) OccurredAt() time.Time { return e.Data.Timestamp }

// NewMessage is a message in a conversation, of a contact, a user or a bot.
type NewMessage struct{ Delivery[Message] }

// OccurredAt returns the message's CreatedAt.
func (e *NewMessage) OccurredAt() time.Time { return e.Data.CreatedAt }

// NewCommandMessage is a message that begins with "/", by which a user calls an app.
type NewCommandMessage struct{ Delivery[Message] }

// OccurredAt returns the message's CreatedAt.
func (e *NewCommandMessage) OccurredAt() time.Time { return e.Data.CreatedAt }

// NewConversation is a conversation that a contact or a user began; Drift leaves out those that a bot began.
type NewConversation struct{ Delivery[Conversation] }

// OccurredAt returns the conversation's CreatedAt.
func (e *NewConversation) OccurredAt() time.Time { return e.Data.CreatedAt }

// ConversationPush is sent when a conversation is ready to be copied elsewhere, because it has been idle for a while or
// a user asked for it.
type ConversationPush struct {
	Delivery[ConversationReference]
}

// OccurredAt returns the zero time.
func (e *ConversationPush) OccurredAt() time.Time { return time.Time{} }

// ConversationInactive is sent when a conversation has been idle for a time that is set in Drift.
type ConversationInactive struct{ Delivery[Inactivity] }

// OccurredAt returns LastUpdated, when the conversation became idle.
func (e *ConversationInactive) OccurredAt() time.Time { return e.Data.LastUpdated }

// ConversationManualPush is sent when a user asks for a conversation to be copied elsewhere.
type ConversationManualPush struct {
	Delivery[ConversationReference]
}

// OccurredAt returns the zero time.
func (e *ConversationManualPush) OccurredAt() time.Time { return time.Time{} }

// ConversationParticipantAdded is sent when users join a conversation.
type ConversationParticipantAdded struct{ Delivery[ParticipantsAdded] }

// OccurredAt returns ChangedAt.
func (e *ConversationParticipantAdded) OccurredAt() time.Time { return e.Data.ChangedAt }

// ConversationParticipantRemoved is sent when users leave a conversation.
type ConversationParticipantRemoved struct{ Delivery[ParticipantsRemoved] }

// OccurredAt returns ChangedAt.
func (e *ConversationParticipantRemoved) OccurredAt() time.Time { return e.Data.ChangedAt }

// ConversationStatusUpdated has the new status of a conversation. Drift phases it out in favour of
// [ConversationInactive] and [ConversationPush]. It comes under either of two types.
type ConversationStatusUpdated struct{ Delivery[StatusChange] }

// OccurredAt returns ChangedAt.
func (e *ConversationStatusUpdated) OccurredAt() time.Time { return e.Data.ChangedAt }

// ButtonClicked is a click on a button of a message.
type ButtonClicked struct{ Delivery[Message] }

// OccurredAt returns the zero time: the message's CreatedAt may be that of the message with the button, not of the
// click.
func (e *ButtonClicked) OccurredAt() time.Time { return time.Time{} }

// ButtonAction is the older form of [ButtonClicked].
type ButtonAction struct{ Delivery[ButtonPress] }

// OccurredAt returns the zero time.
func (e *ButtonAction) OccurredAt() time.Time { return time.Time{} }

// PhoneCaptured is a telephone number that somebody left in a conversation.
type PhoneCaptured struct{ Delivery[PhoneNumber] }

// OccurredAt returns the zero time.
func (e *PhoneCaptured) OccurredAt() time.Time { return time.Time{} }

// NewMeeting is a meeting that was booked.
type NewMeeting struct{ Delivery[Meeting] }

// OccurredAt returns ScheduledAt, when it was booked.
func (e *NewMeeting) OccurredAt() time.Time { return e.Data.ScheduledAt }

// MeetingUpdated is a meeting that was moved or cancelled.
type MeetingUpdated struct{ Delivery[Meeting] }

// OccurredAt returns UpdatedAt, which not every delivery has.
func (e *MeetingUpdated) OccurredAt() time.Time { return e.Data.UpdatedAt }

// PlaybookGoalMet is sent when a known contact meets the goal of a playbook.
type PlaybookGoalMet struct{ Delivery[Goal] }

// OccurredAt returns the zero time.
func (e *PlaybookGoalMet) OccurredAt() time.Time { return time.Time{} }

// UserAvailabilityUpdated is sent when a user comes, leaves or goes on a call.
type UserAvailabilityUpdated struct{ Delivery[UserAvailability] }

// OccurredAt returns UpdatedAt.
func (e *UserAvailabilityUpdated) OccurredAt() time.Time { return e.Data.UpdatedAt }

// UserUnsubscribed is a contact that wants no more e-mail. It comes under either of two types.
type UserUnsubscribed struct{ Delivery[Contact] }

// OccurredAt returns the zero time: the contact's CreatedAt is when it was first seen.
func (e *UserUnsubscribed) OccurredAt() time.Time { return time.Time{} }

// ChatToCall is a conversation that went on as a call.
type ChatToCall struct{ Delivery[Call] }

// OccurredAt returns the zero time.
func (e *ChatToCall) OccurredAt() time.Time { return time.Time{} }

// GDPRDeleteRequested is sent when a person's data must be deleted, in your systems too.
type GDPRDeleteRequested struct{ Delivery[DeletionRequest] }

// OccurredAt returns the zero time.
func (e *GDPRDeleteRequested) OccurredAt() time.Time { return time.Time{} }

// AppDisconnected is sent when an organization disconnects the app. Its tokens are then invalid.
type AppDisconnected struct{ Delivery[Disconnection] }

// OccurredAt returns the zero time.
func (e *AppDisconnected) OccurredAt() time.Time { return time.Time{} }
