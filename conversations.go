package drift

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"time"

	"github.com/driftsdk/drift/internal/rest"
	"github.com/driftsdk/drift/internal/wire"
)

// ConversationsService reads and writes conversations.
//
// The interface may grow in minor versions: embed it in a fake, or declare an interface of the methods that you use.
type ConversationsService interface {
	// Get returns a conversation: GET v2/conversations/{conversationId}. If it does not exist, the
	// error matches ErrNotFound.
	Get(ctx context.Context, id ConversationID, opts ...CallOption) (*Conversation, error)

	// Create starts a conversation with users: POST v2/conversations.
	Create(ctx context.Context, req ConversationCreateRequest, opts ...CallOption) (*Conversation, error)

	// CreateFromScratch starts a conversation with the contact that has an e-mail address: POST
	// v2/conversations/create.
	CreateFromScratch(
		ctx context.Context, req ConversationCreateFromScratchRequest, opts ...CallOption,
	) (*Conversation, error)

	// Update changes the fields that are set: PATCH v2/conversations/{conversationId}. A request
	// that sets no field is a *ValidationError.
	Update(
		ctx context.Context, id ConversationID, req ConversationUpdateRequest, opts ...CallOption,
	) (*Conversation, error)

	// Delete removes a conversation: DELETE v2/conversations/{conversationId}.
	Delete(ctx context.Context, id ConversationID, opts ...CallOption) error

	// List returns one page of the conversations that match the options: GET v2/conversations.
	List(ctx context.Context, options ConversationListOptions, opts ...CallOption) (*Page[Conversation], error)

	// All ranges over every conversation that matches the options, page by page; see Collect,
	// PageError and RecordError.
	All(ctx context.Context, options ConversationListOptions, opts ...CallOption) iter.Seq2[*Conversation, error]

	// ListByStatus returns one page of the conversations with a status: GET
	// v2/conversations/status/{status}. A status without a constant in this package is sent
	// unchanged.
	ListByStatus(
		ctx context.Context, status ConversationStatus, options ConversationListByStatusOptions, opts ...CallOption,
	) (*Page[Conversation], error)

	// AllByStatus ranges over every conversation with a status, page by page; see Collect,
	// PageError and RecordError.
	AllByStatus(
		ctx context.Context, status ConversationStatus, options ConversationListByStatusOptions, opts ...CallOption,
	) iter.Seq2[*Conversation, error]
}

// Conversation is a thread of messages with one contact.
type Conversation struct {
	ID                ConversationID     `json:"id" wire:"id"`
	Title             string             `json:"title,omitzero"`
	Status            ConversationStatus `json:"status,omitzero"`
	Email             string             `json:"email,omitzero"`
	ContactID         ContactID          `json:"contact_id,omitzero"`
	OrgID             OrgID              `json:"org_id,omitzero"`
	InboxID           InboxID            `json:"inbox_id,omitzero"`
	AssignedUserID    UserID             `json:"assigned_user_id,omitzero"` // 0: unassigned
	WorkflowID        WorkflowID         `json:"workflow_id,omitzero"`
	RelatedPlaybookID PlaybookID         `json:"related_playbook_id,omitzero"`
	Direction         Direction          `json:"direction,omitzero"`
	Integration       string             `json:"integration,omitzero"`
	Labels            []string           `json:"labels,omitzero"`
	Tags              []TagRef           `json:"tags,omitzero" also:"conversation_tags"`
	CustomAttributes  Attributes         `json:"custom_attributes,omitzero"`
	Participants      []UserID           `json:"participants,omitzero"`
	MemberCount       int                `json:"member_count,omitzero"`
	ReplySubject      string             `json:"reply_subject,omitzero"`
	Archived          bool               `json:"archived,omitzero"`
	Deleted           bool               `json:"deleted,omitzero"`
	CreatedAt         time.Time          `json:"created_at,omitzero"`
	UpdatedAt         time.Time          `json:"updated_at,omitzero"`
	ResolvedAt        time.Time          `json:"resolved_at,omitzero"`
	LastActivityAt    time.Time          `json:"last_activity_at,omitzero"`
	LastMessageSentAt time.Time          `json:"last_message_sent_at,omitzero"`

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// ConversationStatus is the state of a conversation. The API may know more values than this package.
type ConversationStatus string

// The known statuses.
const (
	ConversationStatusOpen     ConversationStatus = "open"
	ConversationStatusClosed   ConversationStatus = "closed"
	ConversationStatusPending  ConversationStatus = "pending"
	ConversationStatusBulkSent ConversationStatus = "bulk_sent"
)

// IsKnown reports whether this package has a constant for the status.
func (s ConversationStatus) IsKnown() bool {
	switch s {
	case ConversationStatusOpen, ConversationStatusClosed, ConversationStatusPending, ConversationStatusBulkSent:
		return true
	}
	return false
}

// ConversationCreateRequest is the body of POST v2/conversations. Zero fields are not sent.
type ConversationCreateRequest struct {
	BackgroundMode *bool    `json:"background_mode,omitzero"`
	Labels         []string `json:"labels,omitempty"`
	Tags           []string `json:"tags,omitempty"`
	Users          []UserID `json:"users,omitempty"`
}

// ConversationCreateFromScratchRequest is the body of POST v2/conversations/create. Zero fields are not sent.
type ConversationCreateFromScratchRequest struct {
	AssignedUserID   UserID     `json:"assigned_user_id,omitzero"`
	BackgroundMode   *bool      `json:"background_mode,omitzero"`
	CustomAttributes Attributes `json:"custom_attributes,omitempty"`
	Email            string     `json:"email,omitzero"`
	Labels           []string   `json:"labels,omitempty"`
	Tags             []string   `json:"tags,omitempty"`
	Title            string     `json:"title,omitzero"`
}

// ConversationUpdateRequest is the body of PATCH v2/conversations/{conversationId}. Zero fields stay unchanged.
type ConversationUpdateRequest struct {
	AssignedUserID   Optional[UserID]     `json:"assigned_user_id,omitzero"`  // Null unassigns
	CustomAttributes Optional[Attributes] `json:"custom_attributes,omitzero"` // merged; a key with nil is cleared
	Labels           Optional[[]string]   `json:"labels,omitzero"`
	Tags             Optional[[]string]   `json:"tags,omitzero"`
	WorkflowID       Optional[WorkflowID] `json:"workflow_id,omitzero"`
}

// ConversationListOptions are the options of GET v2/conversations. Zero fields do not filter.
type ConversationListOptions struct {
	Archived          *bool          `query:"archived"`
	AssignedUserID    UserID         `query:"assigned_user_id"`
	CreatedAt         time.Time      `query:"created_at"`
	CustomAttributes  Attributes     `query:"custom_attributes"` // strings, numbers and booleans
	Deleted           *bool          `query:"deleted"`
	Direction         Direction      `query:"direction"`
	Email             string         `query:"email"`
	ID                ConversationID `query:"id"`
	Integration       string         `query:"integration"`
	LastActivityAt    time.Time      `query:"last_activity_at"`
	LastMessageSentAt time.Time      `query:"last_message_sent_at"`
	Labels            []string       `query:"labels"`
	MemberCount       *int           `query:"member_count"`
	Participants      []string       `query:"participants"` // names or addresses
	ReplySubject      string         `query:"reply_subject"`
	ResolvedAt        time.Time      `query:"resolved_at"`
	Tags              []string       `query:"tags"`
	Title             string         `query:"title"`
	UpdatedAt         time.Time      `query:"updated_at"`
	WorkflowID        WorkflowID     `query:"workflow_id"`

	Limit  int    // items per page, 1 to 100; 0: 100
	Cursor string // where to start: Page.Next or PageError.Cursor; "": at the beginning
}

func (o ConversationListOptions) page() paging { return paging{o.Limit, o.Cursor} }

// ConversationListByStatusOptions are the options of GET v2/conversations/status/{status}. Zero fields do not filter.
type ConversationListByStatusOptions struct {
	Archived *bool `query:"archived"`

	Limit  int    // items per page, 1 to 100; 0: 100
	Cursor string // where to start: Page.Next or PageError.Cursor; "": at the beginning
}

func (o ConversationListByStatusOptions) page() paging { return paging{o.Limit, o.Cursor} }

var (
	conversationsGet               = rest.Route{Name: "conversations.get", Method: http.MethodGet, Path: "v2/conversations/{conversationId}"}
	conversationsCreate            = rest.Route{Name: "conversations.create", Method: http.MethodPost, Path: "v2/conversations"}
	conversationsCreateFromScratch = rest.Route{Name: "conversations.createFromScratch", Method: http.MethodPost, Path: "v2/conversations/create"}
	conversationsUpdate            = rest.Route{Name: "conversations.update", Method: http.MethodPatch, Path: "v2/conversations/{conversationId}"}
	conversationsDelete            = rest.Route{Name: "conversations.delete", Method: http.MethodDelete, Path: "v2/conversations/{conversationId}"}
	conversationsList              = rest.Route{Name: "conversations.list", Method: http.MethodGet, Path: "v2/conversations"}
	conversationsListByStatus      = rest.Route{Name: "conversations.listByStatus", Method: http.MethodGet, Path: "v2/conversations/status/{status}"}
)

type conversations struct{ *caller }

func (s conversations) Get(ctx context.Context, id ConversationID, opts ...CallOption) (*Conversation, error) {
	return rest.One[Conversation](ctx, s.caller, &conversationsGet, rest.Input{Path: rest.Path{rest.OwnID(id)}}, opts)
}

func (s conversations) Create(
	ctx context.Context, req ConversationCreateRequest, opts ...CallOption,
) (*Conversation, error) {
	return rest.One[Conversation](ctx, s.caller, &conversationsCreate, rest.Input{Body: &req}, opts)
}

func (s conversations) CreateFromScratch(
	ctx context.Context, req ConversationCreateFromScratchRequest, opts ...CallOption,
) (*Conversation, error) {
	return rest.One[Conversation](ctx, s.caller, &conversationsCreateFromScratch, rest.Input{Body: &req}, opts)
}

func (s conversations) Update(
	ctx context.Context, id ConversationID, req ConversationUpdateRequest, opts ...CallOption,
) (*Conversation, error) {
	return rest.One[Conversation](ctx, s.caller, &conversationsUpdate,
		rest.Input{Path: rest.Path{rest.OwnID(id)}, Body: &req}, opts)
}

func (s conversations) Delete(ctx context.Context, id ConversationID, opts ...CallOption) error {
	return rest.None(ctx, s.caller, &conversationsDelete, rest.Input{Path: rest.Path{rest.ID(id)}}, opts)
}

func (s conversations) List(
	ctx context.Context, options ConversationListOptions, opts ...CallOption,
) (*Page[Conversation], error) {
	return list[Conversation](ctx, s.caller, &conversationsList, rest.Input{Query: options}, opts)
}

func (s conversations) All(
	ctx context.Context, options ConversationListOptions, opts ...CallOption,
) iter.Seq2[*Conversation, error] {
	return all[Conversation](ctx, s.caller, &conversationsList, rest.Input{Query: options}, opts)
}

func (s conversations) ListByStatus(
	ctx context.Context, status ConversationStatus, options ConversationListByStatusOptions, opts ...CallOption,
) (*Page[Conversation], error) {
	return list[Conversation](ctx, s.caller, &conversationsListByStatus,
		rest.Input{Path: rest.Path{rest.Text(status)}, Query: options}, opts)
}

func (s conversations) AllByStatus(
	ctx context.Context, status ConversationStatus, options ConversationListByStatusOptions, opts ...CallOption,
) iter.Seq2[*Conversation, error] {
	return all[Conversation](ctx, s.caller, &conversationsListByStatus,
		rest.Input{Path: rest.Path{rest.Text(status)}, Query: options}, opts)
}

// UnmarshalJSON decodes a conversation as sent by the API or encoded by MarshalJSON.
func (c *Conversation) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, c) }

// MarshalJSON encodes the conversation with the API's names and units, Extra included.
func (c Conversation) MarshalJSON() ([]byte, error) {
	type fields Conversation
	return wire.Marshal(fields(c))
}
