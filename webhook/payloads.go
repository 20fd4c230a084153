package webhook

//go:generate go run ../internal/codecgen

import (
	"encoding/json"
	"time"

	"github.com/driftsdk/drift"
)

// The shapes of contact_updated and new_message are documented by Drift. The others are put together from its models
// and from what other programs read; what is a guess beyond that is marked "assumed". A field that a delivery does
// not have is zero. One that a type does not have, or whose value does not fit, is in its Extra.

// Contact is a person who talks with the organization.
type Contact struct {
	ID         drift.ContactID  `json:"id,omitzero"`
	Attributes drift.Attributes `json:"attributes,omitzero"` // Drift's own (email, name), and the organization's
	CreatedAt  time.Time        `json:"createdAt,omitzero"`

	// Extra holds the fields that this type does not have; nil when there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// ContactChange lists what changed of a contact.
type ContactChange struct {
	EndUserID drift.ContactID   `json:"endUserId,omitzero"` // the contact
	OrgID     drift.OrgID       `json:"orgId,omitzero"`
	Timestamp time.Time         `json:"timestamp,omitzero"`
	Diff      []AttributeChange `json:"diff,omitzero"`

	// Extra holds the fields that this type does not have; nil when there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// AttributeChange is the change of one attribute.
type AttributeChange struct {
	Name     string          `json:"name,omitzero"`                 // for example "attributes.alias"
	Previous json.RawMessage `json:"previous,omitzero" wire:"null"` // any JSON value, null where there was none
	Updated  json.RawMessage `json:"updated,omitzero" wire:"null"`  // any JSON value, null where there is none any more

	// Extra holds the fields that this type does not have; nil when there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// Message is one entry of a conversation.
type Message struct {
	ID              drift.MessageID      `json:"id,omitzero"`
	OrgID           drift.OrgID          `json:"orgId,omitzero"`
	ConversationID  drift.ConversationID `json:"conversationId,omitzero"`
	ContactID       drift.ContactID      `json:"contactId,omitzero"` // with button_clicked (assumed)
	Type            drift.MessageType    `json:"type,omitzero"`
	Body            string               `json:"body,omitzero"` // HTML written by strangers: sanitize it
	Author          *drift.Author        `json:"author,omitzero"`
	Buttons         []drift.Button       `json:"buttons,omitzero"`
	Attachments     []Attachment         `json:"attachments,omitzero" also:"attachment"` // also read from attachment
	Context         *MessageContext      `json:"context,omitzero"`
	Attributes      drift.Attributes     `json:"attributes,omitzero"`
	EditedMessageID drift.MessageID      `json:"editedMessageId,omitzero"` // legacy
	EditType        string               `json:"editType,omitzero"`        // legacy; for example replace_body
	CreatedAt       time.Time            `json:"createdAt,omitzero"`

	// Extra holds the fields that this type does not have; nil when there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// Attachment is a file that belongs to a message. A client's token must not be sent to its URL unless that is the
// API's.
type Attachment struct {
	ID       int64  `json:"id,omitzero"`
	FileName string `json:"fileName,omitzero"`
	MIMEType string `json:"mimeType,omitzero"`
	URL      string `json:"url,omitzero"`

	// Extra holds the fields that this type does not have; nil when there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// MessageContext describes the writer's browser. All fields but IP and UserAgent are assumed.
type MessageContext struct {
	IP        string    `json:"ip,omitzero"`
	UserAgent string    `json:"userAgent,omitzero"`
	Title     string    `json:"title,omitzero"`
	Referrer  string    `json:"referrer,omitzero"`
	Timezone  string    `json:"timezone,omitzero"`
	Locale    string    `json:"locale,omitzero"`
	Location  *Location `json:"location,omitzero"`

	// Extra holds the fields that this type does not have; nil when there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// Location is where an address of the network belongs.
type Location struct {
	City        string      `json:"city,omitzero"`
	Region      string      `json:"region,omitzero"`
	Country     string      `json:"country,omitzero"`
	CountryName string      `json:"countryName,omitzero"`
	PostalCode  string      `json:"postalCode,omitzero"`
	Latitude    json.Number `json:"latitude,omitzero"`
	Longitude   json.Number `json:"longitude,omitzero"`

	// Extra holds the fields that this type does not have; nil when there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// Conversation is a thread of messages with one contact.
type Conversation struct {
	ID                drift.ConversationID     `json:"id,omitzero"`
	OrgID             drift.OrgID              `json:"orgId,omitzero"`
	Status            drift.ConversationStatus `json:"status,omitzero"`
	ContactID         drift.ContactID          `json:"contactId,omitzero"`
	InboxID           drift.InboxID            `json:"inboxId,omitzero"`
	RelatedPlaybookID drift.PlaybookID         `json:"relatedPlaybookId,omitzero"`
	Participants      []drift.UserID           `json:"participants,omitzero"`
	ConversationTags  []drift.TagRef           `json:"conversationTags,omitzero"`
	CreatedAt         time.Time                `json:"createdAt,omitzero"`
	UpdatedAt         time.Time                `json:"updatedAt,omitzero"`

	// Extra holds the fields that this type does not have; nil when there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// ConversationReference says which conversation is meant.
type ConversationReference struct {
	ConversationID drift.ConversationID `json:"conversationId,omitzero" also:"id"` // also read from id (assumed)

	// Extra holds the fields that this type does not have; nil when there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// Inactivity says when a conversation became idle.
type Inactivity struct {
	ConversationID drift.ConversationID `json:"conversationId,omitzero"`
	LastUpdated    time.Time            `json:"lastUpdated,omitzero"`

	// Extra holds the fields that this type does not have; nil when there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// ParticipantsAdded lists the users who joined a conversation.
type ParticipantsAdded struct {
	ConversationID    drift.ConversationID `json:"conversationId,omitzero"`
	AddedParticipants []drift.UserID       `json:"addedParticipants,omitzero"`
	ChangedAt         time.Time            `json:"changedAt,omitzero"`

	// Extra holds the fields that this type does not have; nil when there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// ParticipantsRemoved lists the users who left a conversation.
type ParticipantsRemoved struct {
	ConversationID      drift.ConversationID `json:"conversationId,omitzero"`
	RemovedParticipants []drift.UserID       `json:"removedParticipants,omitzero"`
	ChangedAt           time.Time            `json:"changedAt,omitzero"`

	// Extra holds the fields that this type does not have; nil when there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// StatusChange is the new status of a conversation.
type StatusChange struct {
	ConversationID drift.ConversationID     `json:"conversationId,omitzero"`
	Status         drift.ConversationStatus `json:"status,omitzero"`
	ChangedAt      time.Time                `json:"changedAt,omitzero"`

	// Extra holds the fields that this type does not have; nil when there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// ButtonPress is a button, and who pressed it.
type ButtonPress struct {
	ConversationID  drift.ConversationID `json:"conversationId,omitzero"`
	Author          *drift.Author        `json:"author,omitzero"`
	SourceMessageID drift.MessageID      `json:"sourceMessageId,omitzero"`
	Button          *drift.Button        `json:"button,omitzero"`

	// Extra holds the fields that this type does not have; nil when there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// PhoneNumber is a telephone number, and who left it.
type PhoneNumber struct {
	ConversationID drift.ConversationID `json:"conversationId,omitzero"`
	AuthorID       int64                `json:"authorId,omitzero"` // of a contact or a user, as AuthorType says
	AuthorType     drift.AuthorType     `json:"authorType,omitzero"`
	PhoneNumber    string               `json:"phoneNumber,omitzero"`

	// Extra holds the fields that this type does not have; nil when there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// Meeting is an appointment of a contact with a user.
type Meeting struct {
	AgentID        drift.UserID         `json:"agentId,omitzero"`
	OrgID          drift.OrgID          `json:"orgId,omitzero"`
	SchedulerID    drift.ContactID      `json:"schedulerId,omitzero"`
	ConversationID drift.ConversationID `json:"conversationId,omitzero"`
	EventID        string               `json:"eventId,omitzero"`   // of the calendar
	EventType      MeetingEventType     `json:"eventType,omitzero"` // with meeting_updated
	Slug           string               `json:"slug,omitzero"`
	SlotStart      time.Time            `json:"slotStart,omitzero"`
	SlotEnd        time.Time            `json:"slotEnd,omitzero"`
	ScheduledAt    time.Time            `json:"scheduledAt,omitzero"` // when it was booked
	UpdatedAt      time.Time            `json:"updatedAt,omitzero"`   // assumed

	// Extra holds the fields that this type does not have; nil when there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// MeetingEventType is what happened to a meeting. Drift may know more values than this package.
type MeetingEventType string

// The known events.
const (
	MeetingEventTypeRescheduled MeetingEventType = "rescheduled"
	MeetingEventTypeCanceled    MeetingEventType = "canceled"
)

// IsKnown reports whether this package has a constant for the event.
func (t MeetingEventType) IsKnown() bool {
	return t == MeetingEventTypeRescheduled || t == MeetingEventTypeCanceled
}

// Goal is the goal of a playbook, and who met it.
type Goal struct {
	ConversationID drift.ConversationID `json:"conversationId,omitzero"`
	PlaybookID     drift.PlaybookID     `json:"playbookId,omitzero"`
	PlaybookName   string               `json:"playbookName,omitzero"`
	ContactID      drift.ContactID      `json:"contactId,omitzero"`
	ContactEmail   string               `json:"contactEmail,omitzero"`
	GoalID         string               `json:"goalId,omitzero"` // a UUID
	GoalName       string               `json:"goalName,omitzero"`

	// Extra holds the fields that this type does not have; nil when there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// UserAvailability says whether a user can be reached.
type UserAvailability struct {
	UserID       drift.UserID `json:"userId,omitzero"`
	Availability Availability `json:"availability,omitzero"`
	UpdatedAt    time.Time    `json:"updatedAt,omitzero"`

	// Extra holds the fields that this type does not have; nil when there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// Availability says whether a user can be reached. Drift may know more values than this package.
type Availability string

// The known values. Drift's model of a user has AVAILABLE, a sample of the event has ONLINE.
const (
	AvailabilityAvailable Availability = "AVAILABLE"
	AvailabilityOnline    Availability = "ONLINE"
	AvailabilityOffline   Availability = "OFFLINE"
	AvailabilityOnCall    Availability = "ON_CALL"
)

// IsKnown reports whether this package has a constant for the value.
func (a Availability) IsKnown() bool {
	switch a {
	case AvailabilityAvailable, AvailabilityOnline, AvailabilityOffline, AvailabilityOnCall:
		return true
	}
	return false
}

// Call is said to hold the duration, the kind and the participants of a call. The names of its fields are not known,
// so all of it is in Extra.
type Call struct {
	// Extra holds the fields that this type does not have; nil when there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// DeletionRequest says whose data must be deleted. The names of its fields are not known, so all of it is in Extra.
type DeletionRequest struct {
	// Extra holds the fields that this type does not have; nil when there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// Disconnection may say more about who disconnected the app. The names of its fields are not known, so all of it is
// in Extra.
type Disconnection struct {
	// Extra holds the fields that this type does not have; nil when there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}
