package store

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"time"
)

// Conversation is a conversation of the list.
type Conversation struct {
	ID         int64
	Status     string
	ContactID  int64
	InboxID    int64
	CreatedAt  time.Time
	UpdatedAt  time.Time
	MessagesAt time.Time // UpdatedAt at which the messages were read; zero: never
	HasFiles   bool
	GoneAt     time.Time // when the service no longer had it
	Raw        json.RawMessage
	Details    json.RawMessage // nil: not archived
}

// Message is a message of a conversation.
type Message struct {
	Seq            int64 // in the archive
	ID             int64
	ConversationID int64
	Type           string // such as chat and private_note
	AuthorType     string // contact or user
	AuthorID       int64
	Bot            bool
	CreatedAt      time.Time
	Text           string // the body without HTML
	Raw            json.RawMessage
	Attachments    []Attachment
}

// Contact is a contact of a conversation.
type Contact struct {
	ID        int64
	Email     string
	Name      string
	CreatedAt time.Time
	FetchedAt time.Time // zero: not archived yet
	GoneAt    time.Time
	Raw       json.RawMessage
}

// Attachment is a file of a message.
type Attachment struct {
	ID       int64
	Name     string
	MIMEType string
	SHA256   string
	Size     int64
	State    string // due, stored or gone
}

// RecordKinds are the kinds of records without a table of their own.
var RecordKinds = []string{"user", "team", "account", "meeting", "playbook", "landing_page", "contact_attribute"}

// Record is a record without a table of its own, such as a user or an account.
type Record struct {
	Kind      string
	ID        string
	FetchedAt time.Time
	Raw       json.RawMessage
}

// Oddity is an answer, or a part of one, that does not decode completely, or a record that could not be read.
type Oddity struct {
	ID        int64           `json:"id"`
	Operation string          `json:"operation"`
	Subject   string          `json:"subject"` // such as "conversation 42"
	Error     string          `json:"error"`
	Raw       json.RawMessage `json:"raw,omitempty"`        // nil if there is none
	ContactID int64           `json:"contact_id,omitempty"` // 0: no contact in particular
	SeenAt    time.Time       `json:"seen_at"`
}

// Run is a run of a command.
type Run struct {
	ID      int64     `json:"id"`
	Command string    `json:"command"`
	BegunAt time.Time `json:"begun_at"`
	EndedAt time.Time `json:"ended_at,omitzero"` // zero: in progress, or killed
	Calls   int       `json:"calls"`
	Status  int       `json:"status"` // the exit status
	Summary string    `json:"summary"`
}

// milliseconds converts between the zero time and 0, and between other instants and their milliseconds since 1970.
type milliseconds struct{ *time.Time }

// Value implements driver.Valuer.
func (m milliseconds) Value() (driver.Value, error) {
	if m.IsZero() {
		return int64(0), nil
	}
	return m.UnixMilli(), nil
}

// Scan implements sql.Scanner.
func (m milliseconds) Scan(value any) error {
	switch n, ok := value.(int64); {
	case !ok:
		return fmt.Errorf("an instant is %T", value)
	case n <= 0:
		*m.Time = time.Time{}
	default:
		*m.Time = time.UnixMilli(n).UTC()
	}
	return nil
}

// text scans a text or NULL into raw JSON.
type text struct{ *json.RawMessage }

// Scan implements sql.Scanner.
func (t text) Scan(value any) error {
	switch value := value.(type) {
	case string:
		*t.RawMessage = json.RawMessage(value)
	case nil:
		*t.RawMessage = nil
	default:
		return fmt.Errorf("JSON is %T", value)
	}
	return nil
}
