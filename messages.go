package drift

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/driftsdk/drift/internal/rest"
	"github.com/driftsdk/drift/internal/wire"
)

// MessagesService reads and writes the messages of a conversation. The API cannot list them.
//
// The interface may grow in minor versions: embed it in a fake, or declare an interface of the methods that you use.
type MessagesService interface {
	// Get returns a message: GET v2/conversations/{conversationId}/messages/{messageId}. If it does not exist, the
	// error matches [ErrNotFound].
	Get(ctx context.Context, conversationID ConversationID, id MessageID, opts ...CallOption) (*Message, error)

	// Create posts a message to a conversation: POST v2/conversations/{conversationId}/messages. The ClientID of an
	// [*AmbiguousError] is the client_message_id of the message that may have been created. No operation finds a
	// message by it.
	Create(
		ctx context.Context, conversationID ConversationID, req MessageCreateRequest, opts ...CallOption,
	) (*Message, error)

	// Update changes the fields that are set: PATCH v2/conversations/{conversationId}/messages/{messageId}. A request
	// that sets no field is a [*ValidationError].
	Update(
		ctx context.Context, conversationID ConversationID, id MessageID, req MessageUpdateRequest, opts ...CallOption,
	) (*Message, error)
}

// Message is one message of a conversation.
type Message struct {
	ID              MessageID       `json:"id" wire:"id"`
	ConversationID  ConversationID  `json:"conversation_id,omitzero"`
	OrgID           OrgID           `json:"org_id,omitzero"`
	ClientMessageID string          `json:"client_message_id,omitzero"` // a key that the writer chose
	Type            MessageType     `json:"type,omitzero"`
	Body            string          `json:"body,omitzero"` // untrusted HTML: sanitize it before you show it
	Author          *Author         `json:"author,omitzero"`
	Labels          []string        `json:"labels,omitzero"`
	Reply           bool            `json:"reply,omitzero"`
	Buttons         []Button        `json:"buttons,omitzero"`
	Attachments     []Attachment    `json:"attachments,omitzero" also:"attachment"`
	Context         *MessageContext `json:"context,omitzero"`
	Attributes      Attributes      `json:"attributes,omitzero"`
	UseCustomAvatar bool            `json:"use_custom_avatar,omitzero"`
	CreatedAt       time.Time       `json:"created_at,omitzero"`
	UpdatedAt       time.Time       `json:"updated_at,omitzero"`

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// MessageType is the kind of a message. The API may know more values than this package.
type MessageType string

// The known types of messages.
const (
	MessageTypeChat        MessageType = "chat"
	MessageTypePrivateNote MessageType = "private_note"
)

// IsKnown reports whether this package has a constant for the type.
func (t MessageType) IsKnown() bool { return t == MessageTypeChat || t == MessageTypePrivateNote }

// Author is the author of a message. ID is a [ContactID] or a [UserID], depending on Type.
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

// Button is a button of a message. Known types are reply, compose and action; there may be others.
type Button struct {
	Label    string          `json:"label,omitzero"`
	Value    string          `json:"value,omitzero"`
	Type     string          `json:"type,omitzero"`
	Style    string          `json:"style,omitzero"`
	Reaction *ButtonReaction `json:"reaction,omitzero"`

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// ButtonReaction is the change to a message when its button is pressed.
type ButtonReaction struct {
	Type    string `json:"type,omitzero"`
	Message string `json:"message,omitzero"`

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// Attachment is a file of a message. Fetching the URL requires the account's token; this package has no method for it.
type Attachment struct {
	ID       int64  `json:"id,omitzero"`
	FileName string `json:"file_name,omitzero"`
	MIMEType string `json:"mime_type,omitzero"`
	URL      string `json:"url,omitzero"`

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// MessageContext is the origin of a contact's message.
type MessageContext struct {
	IP        string `json:"ip,omitzero"`
	UserAgent string `json:"user_agent,omitzero"`

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// MessageCreateRequest is the body of POST v2/conversations/{conversationId}/messages. Zero fields are not sent. The
// client adds the conversation's id.
type MessageCreateRequest struct {
	Body            string   `json:"body,omitzero"`              // HTML
	ClientMessageID string   `json:"client_message_id,omitzero"` // your key; "": a random UUID, the same in every attempt
	Labels          []string `json:"labels,omitempty"`
	UseCustomAvatar *bool    `json:"use_custom_avatar,omitzero"`
}

// messageCreateBody adds the id in the path, which the catalogue also requires in the body.
type messageCreateBody struct {
	MessageCreateRequest
	ConversationID ConversationID `json:"conversation_id"`
}

// MessageUpdateRequest is the body of PATCH v2/conversations/{conversationId}/messages/{messageId}. Zero fields stay
// unchanged.
type MessageUpdateRequest struct {
	Body   Optional[string]      `json:"body,omitzero"` // HTML
	Labels Optional[[]string]    `json:"labels,omitzero"`
	Reply  Optional[bool]        `json:"reply,omitzero"`
	Type   Optional[MessageType] `json:"type,omitzero"`
}

var (
	messagesGet    = rest.Route{Name: "messages.get", Method: http.MethodGet, Path: "v2/conversations/{conversationId}/messages/{messageId}"}
	messagesCreate = rest.Route{Name: "messages.create", Method: http.MethodPost, Path: "v2/conversations/{conversationId}/messages"}
	messagesUpdate = rest.Route{Name: "messages.update", Method: http.MethodPatch, Path: "v2/conversations/{conversationId}/messages/{messageId}"}
)

type messages struct{ *caller }

func (s messages) Get(
	ctx context.Context, conversationID ConversationID, id MessageID, opts ...CallOption,
) (*Message, error) {
	return rest.One[Message](ctx, s.caller, &messagesGet,
		rest.Input{Path: rest.Path{rest.ID(conversationID), rest.OwnID(id)}}, opts)
}

func (s messages) Create(
	ctx context.Context, conversationID ConversationID, req MessageCreateRequest, opts ...CallOption,
) (*Message, error) {
	req.ClientMessageID = s.key(req.ClientMessageID)
	body := messageCreateBody{req, conversationID}
	return rest.One[Message](ctx, s.caller, &messagesCreate, rest.Input{
		Path: rest.Path{rest.ID(conversationID)},
		Body: &body,
		Key:  req.ClientMessageID,
		Echoes: []rest.Field{
			{Name: "conversation_id", Value: conversationID.String()},
			{Name: "client_message_id", Value: req.ClientMessageID},
		},
	}, opts)
}

func (s messages) Update(
	ctx context.Context, conversationID ConversationID, id MessageID, req MessageUpdateRequest, opts ...CallOption,
) (*Message, error) {
	return rest.One[Message](ctx, s.caller, &messagesUpdate,
		rest.Input{Path: rest.Path{rest.ID(conversationID), rest.OwnID(id)}, Body: &req}, opts)
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

// UnmarshalJSON decodes an attachment as sent by the API or encoded by MarshalJSON.
func (a *Attachment) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, a) }

// MarshalJSON encodes the attachment with the API's names, Extra included.
func (a Attachment) MarshalJSON() ([]byte, error) {
	type fields Attachment
	return wire.Marshal(fields(a))
}

// UnmarshalJSON decodes a context as sent by the API or encoded by MarshalJSON.
func (c *MessageContext) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, c) }

// MarshalJSON encodes the context with the API's names, Extra included.
func (c MessageContext) MarshalJSON() ([]byte, error) {
	type fields MessageContext
	return wire.Marshal(fields(c))
}
