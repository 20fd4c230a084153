package classic

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"time"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/rest"
	"github.com/driftsdk/drift/internal/wire"
)

// MessagesService reads and writes the messages of a conversation. The calls need the scopes conversation_read and
// conversation_write.
//
// The interface may grow in minor versions: embed it in a fake, or declare an interface of the methods that you use.
type MessagesService interface {
	// List returns one page of a conversation's messages, oldest first: GET conversations/{conversationId}/messages. A
	// page has 50 messages.
	List(
		ctx context.Context, conversationID drift.ConversationID, options MessageListOptions, opts ...drift.CallOption,
	) (*drift.Page[Message], error)

	// All ranges over a conversation's messages, oldest first, page by page; see [drift.Collect], [drift.PageError] and
	// [drift.RecordError].
	All(
		ctx context.Context, conversationID drift.ConversationID, options MessageListOptions, opts ...drift.CallOption,
	) iter.Seq2[*Message, error]

	// Create posts a message to a conversation: POST conversations/{conversationId}/messages. The API takes no key of
	// the writer's, so an [*drift.AmbiguousError] has no ClientID; List shows whether the message is there.
	Create(
		ctx context.Context, conversationID drift.ConversationID, req MessageCreateRequest, opts ...drift.CallOption,
	) (*Message, error)
}

// Message is one message of a conversation. Any field but ID may be missing: the first message of a visit, for example,
// may have no Body.
type Message struct {
	ID              drift.MessageID      `json:"id" wire:"id"`
	ConversationID  drift.ConversationID `json:"conversationId,omitzero"`
	OrgID           drift.OrgID          `json:"orgId,omitzero"`
	Type            MessageType          `json:"type,omitzero"`
	Body            string               `json:"body,omitzero"` // untrusted HTML: sanitize it before you show it
	Author          *Author              `json:"author,omitzero"`
	Buttons         []Button             `json:"buttons,omitzero"`
	Attachments     []Attachment         `json:"attachments,omitzero" also:"attachment" wire:"own"`
	Context         *MessageContext      `json:"context,omitzero"`
	Attributes      drift.Attributes     `json:"attributes,omitzero"` // such as preMessages
	EditedMessageID drift.MessageID      `json:"editedMessageId,omitzero"`
	EditType        string               `json:"editType,omitzero"`
	CreatedAt       time.Time            `json:"createdAt,omitzero"`

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// MessageType is the kind of a message. The API may know more values than this package.
type MessageType string

// The known types of messages. Drift no longer documents the last three.
const (
	MessageTypeChat          MessageType = "chat"
	MessageTypePrivateNote   MessageType = "private_note" // hidden from the contact
	MessageTypePrivatePrompt MessageType = "private_prompt"
	MessageTypeSuggestion    MessageType = "suggestion"
	MessageTypeEdit          MessageType = "edit"
)

// IsKnown reports whether this package has a constant for the type.
func (t MessageType) IsKnown() bool {
	switch t {
	case MessageTypeChat, MessageTypePrivateNote, MessageTypePrivatePrompt, MessageTypeSuggestion, MessageTypeEdit:
		return true
	}
	return false
}

// Author is the author of a message. ID is a [drift.ContactID] or a [drift.UserID], depending on Type.
type Author struct {
	ID   int64      `json:"id,omitzero"`
	Type AuthorType `json:"type,omitzero"`
	Bot  bool       `json:"bot,omitzero"`

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// AuthorType is the kind of an author. The API may know more values than this package.
type AuthorType string

// The known types of authors.
const (
	AuthorTypeContact AuthorType = "contact"
	AuthorTypeUser    AuthorType = "user"
)

// IsKnown reports whether this package has a constant for the type.
func (t AuthorType) IsKnown() bool { return t == AuthorTypeContact || t == AuthorTypeUser }

// Button is a button of a message. Known types are reply, compose, action and noop; there may be others. For a chat,
// use [ReplyButton].
type Button struct {
	Label    string          `json:"label,omitzero"`
	Value    string          `json:"value,omitzero"`
	Type     string          `json:"type,omitzero"`
	Style    string          `json:"style,omitzero"` // primary or danger, of a private_prompt only
	Reaction *ButtonReaction `json:"reaction,omitzero"`

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

const buttonReply = "reply"

// ReplyButton returns a button that answers with its label, the only kind that a chat may have.
func ReplyButton(label string) Button { return Button{Label: label, Value: label, Type: buttonReply} }

// ButtonReaction is the change to a message when its button is pressed: delete, or replace with Message.
type ButtonReaction struct {
	Type    string `json:"type,omitzero"`
	Message string `json:"message,omitzero"`

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// MessageContext is the origin of a contact's message.
type MessageContext struct {
	IP        string           `json:"ip,omitzero"`
	UserAgent string           `json:"userAgent,omitzero"`
	Title     string           `json:"title,omitzero"` // of the page
	Referrer  string           `json:"referrer,omitzero"`
	Locale    string           `json:"locale,omitzero"`
	TimeZone  string           `json:"timezone,omitzero"`
	Location  drift.Attributes `json:"location,omitzero"` // such as city and country

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// MessageListOptions are the options of GET conversations/{conversationId}/messages.
type MessageListOptions struct {
	Cursor string // where to start: [drift.Page.Next] or [drift.PageError.Cursor]; "": at the beginning
}

// messagePaging has pages of a fixed size.
var messagePaging = rest.Paging{Seek: rest.SeekNext, Next: func(a *rest.Around) (string, error) {
	return a.PageCursor()
}}

func (o MessageListOptions) input(conversationID drift.ConversationID) rest.Input {
	return rest.Input{
		Path: rest.Path{rest.ID(conversationID)}, At: "messages", Paging: &messagePaging, Cursor: o.Cursor,
	}
}

// MessageCreateRequest is the body of POST conversations/{conversationId}/messages. Zero fields are not sent. Type is
// required. A chat takes only buttons of [ReplyButton].
type MessageCreateRequest struct {
	Type    MessageType  `json:"type,omitzero"`
	Body    string       `json:"body,omitzero"` // HTML
	Buttons []Button     `json:"buttons,omitempty"`
	UserID  drift.UserID `json:"userId,omitzero"` // the author; 0: the organization's bot

	// Drift's own samples edit messages with these fields and the type edit. No page documents it.
	EditedMessageID drift.MessageID `json:"editedMessageId,omitzero"`
	EditType        string          `json:"editType,omitzero"` // delete, replace, replace_body or replace_buttons
}

const errButtons = wire.Reason("of a chat must be of type reply, with the label as value")

func (r *MessageCreateRequest) check() error {
	if r.Type == "" {
		return invalid("type", errRequired)
	}
	for _, button := range r.Buttons {
		if r.Type == MessageTypeChat && (button.Type != buttonReply || button.Value != button.Label) {
			return invalid("buttons", errButtons)
		}
	}
	return checkUTF8(r)
}

var (
	messagesList   = rest.Route{Name: "classic.messages.list", Method: http.MethodGet, Path: "conversations/{conversationId}/messages"}
	messagesCreate = rest.Route{Name: "classic.messages.create", Method: http.MethodPost, Path: "conversations/{conversationId}/messages"}
)

type messages struct{ *caller }

func (s messages) List(
	ctx context.Context, conversationID drift.ConversationID, options MessageListOptions, opts ...drift.CallOption,
) (*drift.Page[Message], error) {
	page, err := rest.List[Message](ctx, s.caller, &messagesList, options.input(conversationID), opts)
	return (*drift.Page[Message])(page), err
}

func (s messages) All(
	ctx context.Context, conversationID drift.ConversationID, options MessageListOptions, opts ...drift.CallOption,
) iter.Seq2[*Message, error] {
	return rest.All[Message](ctx, s.caller, &messagesList, options.input(conversationID), opts)
}

// Create accepts the message itself, as recorded, and a list of messages, as documented. Of a list, the last one is the
// created message (confidence D).
func (s messages) Create(
	ctx context.Context, conversationID drift.ConversationID, req MessageCreateRequest, opts ...drift.CallOption,
) (*Message, error) {
	return rest.Last[Message](ctx, s.caller, &messagesCreate, rest.Input{
		Path:   rest.Path{rest.ID(conversationID)},
		Body:   &req,
		Err:    req.check(),
		At:     "messages",
		Echoes: []rest.Field{{Name: "conversationId", Value: conversationID.String()}},
	}, opts)
}

// UnmarshalJSON decodes a message as sent by the API or encoded by MarshalJSON.
func (m *Message) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, m) }

// MarshalJSON encodes the message with the API's names and units, Extra included.
func (m Message) MarshalJSON() ([]byte, error) {
	type fields Message
	return wire.Marshal(fields(m))
}

// UnmarshalJSON decodes an author as sent by the API or encoded by MarshalJSON.
func (a *Author) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, a) }

// MarshalJSON encodes the author with the API's names, Extra included.
func (a Author) MarshalJSON() ([]byte, error) {
	type fields Author
	return wire.Marshal(fields(a))
}

// UnmarshalJSON decodes a button as sent by the API or encoded by MarshalJSON.
func (b *Button) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, b) }

// MarshalJSON encodes the button with the API's names, Extra included.
func (b Button) MarshalJSON() ([]byte, error) {
	type fields Button
	return wire.Marshal(fields(b))
}

// UnmarshalJSON decodes a reaction as sent by the API or encoded by MarshalJSON.
func (r *ButtonReaction) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, r) }

// MarshalJSON encodes the reaction with the API's names, Extra included.
func (r ButtonReaction) MarshalJSON() ([]byte, error) {
	type fields ButtonReaction
	return wire.Marshal(fields(r))
}

// UnmarshalJSON decodes a context as sent by the API or encoded by MarshalJSON.
func (c *MessageContext) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, c) }

// MarshalJSON encodes the context with the API's names, Extra included.
func (c MessageContext) MarshalJSON() ([]byte, error) {
	type fields MessageContext
	return wire.Marshal(fields(c))
}
