package classic

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/rest"
	"github.com/driftsdk/drift/internal/wire"
)

// ConversationsService reads conversations and starts new ones. The calls need the scopes conversation_read and
// conversation_write. No operation changes the status, the assignee or the tags of a conversation.
//
// The interface may grow in minor versions: embed it in a fake, or declare an interface of the methods that you use.
type ConversationsService interface {
	// List returns one page of the conversations, newest change first: GET conversations/list. Its records have only
	// ID, Status, ContactID, InboxID, CreatedAt and UpdatedAt; Get returns the rest.
	List(
		ctx context.Context, options ConversationListOptions, opts ...drift.CallOption,
	) (*drift.Page[Conversation], error)

	// All ranges over the conversations, newest change first, page by page; see [drift.Collect], [drift.PageError] and
	// [drift.RecordError]. The API filters by status only: to find the conversations of a contact or a period, range
	// over all of them. New activity does not shift the pages, but a conversation that changes during the loop may be
	// missed. Range again to get it.
	All(
		ctx context.Context, options ConversationListOptions, opts ...drift.CallOption,
	) iter.Seq2[*Conversation, error]

	// Get returns a conversation: GET conversations/{conversationId}. If it does not exist, the error matches
	// [drift.ErrNotFound].
	Get(ctx context.Context, id drift.ConversationID, opts ...drift.CallOption) (*Conversation, error)

	// Create starts a conversation with the oldest contact that has an address, and creates the contact if necessary:
	// POST conversations/new. Each call starts another conversation, so an [*drift.AmbiguousError] means that there may
	// be one more. The conversation in the answer may lack Participants and UpdatedAt.
	Create(
		ctx context.Context, req ConversationCreateRequest, opts ...drift.CallOption,
	) (*Conversation, error)

	// Stats returns how many conversations have each status: GET conversations/stats.
	Stats(ctx context.Context, opts ...drift.CallOption) (*ConversationStats, error)

	// GetTranscript returns a conversation as text for people to read: GET conversations/{conversationId}/transcript.
	// Do not parse it: its times lack a year, and a contact without a name is called null. [MessagesService.All]
	// returns the same as data. Only an answer that says it is JSON is decoded: a string, alone or under "data".
	GetTranscript(ctx context.Context, id drift.ConversationID, opts ...drift.CallOption) (string, error)

	// GetJSONTranscript returns a conversation's transcript as JSON: GET
	// conversations/{conversationId}/json_transcript. The shape of the answer has confidence C; see [JSONTranscript].
	GetJSONTranscript(
		ctx context.Context, id drift.ConversationID, opts ...drift.CallOption,
	) (*JSONTranscript, error)
}

// Conversation is a thread of messages with one contact.
type Conversation struct {
	ID                drift.ConversationID `json:"id" wire:"id"`
	Status            ConversationStatus   `json:"status,omitzero"`
	ContactID         drift.ContactID      `json:"contactId,omitzero"`
	InboxID           drift.InboxID        `json:"inboxId,omitzero"`
	OrgID             drift.OrgID          `json:"orgId,omitzero"`
	Participants      []drift.UserID       `json:"participants,omitzero"`
	RelatedPlaybookID drift.PlaybookID     `json:"relatedPlaybookId,omitzero"`
	ConversationTags  []Tag                `json:"conversationTags,omitzero"`
	CreatedAt         time.Time            `json:"createdAt,omitzero"`
	UpdatedAt         time.Time            `json:"updatedAt,omitzero"`

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// URL returns the address of the conversation in Drift's web application.
func (c Conversation) URL() string { return "https://app.drift.com/conversations/" + c.ID.String() }

// ConversationStatus is the state of a conversation. The API may know more values than this package. Drift is phasing
// statuses out.
type ConversationStatus string

// The known statuses.
const (
	ConversationStatusOpen     ConversationStatus = "open"      // needs a reply
	ConversationStatusClosed   ConversationStatus = "closed"    // done
	ConversationStatusPending  ConversationStatus = "pending"   // waits for the contact
	ConversationStatusBulkSent ConversationStatus = "bulk_sent" // a message of a playbook without an answer
)

// IsKnown reports whether this package has a constant for the status.
func (s ConversationStatus) IsKnown() bool {
	return s == ConversationStatusBulkSent || statusIDs[s] != ""
}

// statusIDs are the statuses that conversations can be filtered by.
var statusIDs = map[ConversationStatus]string{
	ConversationStatusOpen: "1", ConversationStatusClosed: "2", ConversationStatusPending: "3",
}

// ConversationListOptions are the options of GET conversations/list. Zero fields do not filter.
type ConversationListOptions struct {
	Statuses []ConversationStatus // open, closed and pending; nil: all conversations

	Limit  int    // conversations per page, 1 to 100; 0: 100
	Cursor string // where to start: [drift.Page.Next] or [drift.PageError.Cursor]; "": at the beginning
}

const errStatus = wire.Reason("must be open, closed or pending")

func (o ConversationListOptions) input() rest.Input {
	query := url.Values{}
	var err error
	for _, status := range o.Statuses {
		if statusIDs[status] == "" {
			err = invalid("Statuses", errStatus)
		}
		query.Add("statusId", statusIDs[status])
	}
	return rest.Input{Query: query, Err: err, Paging: &conversationPaging, Limit: o.Limit, Cursor: o.Cursor}
}

// conversationPaging has the cursor in the query of links.next, as page_token. An empty token asks for that mode. The
// links name another host than the base URL and are never followed. Beside them, pagination counts in another mode and
// is ignored. Only an answer without links pages by pagination (confidence C); such a cursor has a prefix, because it
// belongs into another parameter.
var conversationPaging = rest.Paging{
	Limit: "limit", Max: 100,
	Seek: func(query url.Values, cursor string) error {
		if next, old := strings.CutPrefix(cursor, oldCursor); old {
			query.Set("next", next)
			return nil
		}
		query.Set("page_token", cursor)
		return nil
	},
	Next: func(a *rest.Around) (string, error) {
		if a.HasLinks() {
			return a.LinkCursor("page_token")
		}
		next, err := a.PageCursor()
		if next != "" {
			next = oldCursor + next
		}
		return next, err
	},
}

const oldCursor = "next="

// ConversationCreateRequest is the body of POST conversations/new. Zero fields are not sent. Email and Body are
// required.
type ConversationCreateRequest struct {
	Email             string
	Body              string           // of the first message, HTML
	IntegrationSource string           // shown in the header of the conversation
	AutoAssigneeID    drift.UserID     // who gets the conversation; 0: Drift decides
	Attributes        drift.Attributes // further attributes of the message
}

// conversationCreateBody is the request as it is sent.
type conversationCreateBody struct {
	Email   string             `json:"email,omitzero"`
	Message conversationOpener `json:"message,omitzero"`
}

type conversationOpener struct {
	Body       string           `json:"body,omitzero"`
	Attributes drift.Attributes `json:"attributes,omitempty"`
}

const (
	attributeSource   = "integrationSource"
	attributeAssignee = "autoAssigneeId"
)

// merged returns the body with the fields and the attributes in one map.
func (r ConversationCreateRequest) merged() (*conversationCreateBody, error) {
	all := drift.Attributes{}
	for key, value := range r.Attributes {
		all[key] = value
	}
	_, hasSource := all[attributeSource]
	_, hasAssignee := all[attributeAssignee]
	if hasSource && r.IntegrationSource != "" || hasAssignee && r.AutoAssigneeID != 0 {
		return nil, invalid("attributes", errTwice)
	}
	if r.IntegrationSource != "" {
		all[attributeSource] = r.IntegrationSource
	}
	if r.AutoAssigneeID != 0 {
		all[attributeAssignee] = int64(r.AutoAssigneeID)
	}
	return &conversationCreateBody{r.Email, conversationOpener{r.Body, all}}, nil
}

func (r ConversationCreateRequest) body() (*conversationCreateBody, error) {
	switch {
	case rest.CheckEmail(r.Email) != nil:
		return nil, rest.CheckEmail(r.Email)
	case r.Body == "":
		return nil, invalid("body", errRequired)
	case r.AutoAssigneeID < 0:
		return nil, invalid("autoAssigneeId", errNotPositive)
	}
	return r.merged()
}

// ConversationStats is the number of conversations by status.
type ConversationStats struct {
	Counts map[string]int `json:"conversationCount" wire:"required"` // by status in upper case, such as OPEN; there may be others

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// Open returns the number of open conversations.
func (s ConversationStats) Open() int { return s.Counts["OPEN"] }

// Closed returns the number of closed conversations.
func (s ConversationStats) Closed() int { return s.Counts["CLOSED"] }

// Pending returns the number of pending conversations.
func (s ConversationStats) Pending() int { return s.Counts["PENDING"] }

// Total returns the number of all conversations, those with other statuses included.
func (s ConversationStats) Total() int {
	total := 0
	for _, count := range s.Counts {
		total += count
	}
	return total
}

// JSONTranscript is a transcript as JSON. No source documents its shape. The messages are taken from a list, alone or
// under "messages" (confidence C). If they are not there or do not decode, Messages is nil.
type JSONTranscript struct {
	Messages []*Message
	Raw      json.RawMessage // the data as they came
}

var (
	conversationsList              = rest.Route{Name: "classic.conversations.list", Method: http.MethodGet, Path: "conversations/list"}
	conversationsGet               = rest.Route{Name: "classic.conversations.get", Method: http.MethodGet, Path: "conversations/{conversationId}"}
	conversationsCreate            = rest.Route{Name: "classic.conversations.create", Method: http.MethodPost, Path: "conversations/new"}
	conversationsStats             = rest.Route{Name: "classic.conversations.stats", Method: http.MethodGet, Path: "conversations/stats"}
	conversationsGetTranscript     = rest.Route{Name: "classic.conversations.getTranscript", Method: http.MethodGet, Path: "conversations/{conversationId}/transcript"}
	conversationsGetJSONTranscript = rest.Route{Name: "classic.conversations.getJSONTranscript", Method: http.MethodGet, Path: "conversations/{conversationId}/json_transcript"}
)

type conversations struct{ *caller }

func (s conversations) List(
	ctx context.Context, options ConversationListOptions, opts ...drift.CallOption,
) (*drift.Page[Conversation], error) {
	page, err := rest.List[Conversation](ctx, s.caller, &conversationsList, options.input(), opts)
	return (*drift.Page[Conversation])(page), err
}

func (s conversations) All(
	ctx context.Context, options ConversationListOptions, opts ...drift.CallOption,
) iter.Seq2[*Conversation, error] {
	return rest.All[Conversation](ctx, s.caller, &conversationsList, options.input(), opts)
}

func (s conversations) Get(
	ctx context.Context, id drift.ConversationID, opts ...drift.CallOption,
) (*Conversation, error) {
	return rest.One[Conversation](ctx, s.caller, &conversationsGet, rest.Input{Path: rest.Path{rest.OwnID(id)}}, opts)
}

func (s conversations) Create(
	ctx context.Context, req ConversationCreateRequest, opts ...drift.CallOption,
) (*Conversation, error) {
	body, err := req.body()
	return rest.One[Conversation](ctx, s.caller, &conversationsCreate, rest.Input{Body: body, Err: err}, opts)
}

func (s conversations) Stats(ctx context.Context, opts ...drift.CallOption) (*ConversationStats, error) {
	return rest.One[ConversationStats](ctx, s.caller, &conversationsStats, rest.Input{}, opts)
}

func (s conversations) GetTranscript(
	ctx context.Context, id drift.ConversationID, opts ...drift.CallOption,
) (string, error) {
	return rest.PlainText(ctx, s.caller, &conversationsGetTranscript, rest.Input{Path: rest.Path{rest.ID(id)}}, opts)
}

func (s conversations) GetJSONTranscript(
	ctx context.Context, id drift.ConversationID, opts ...drift.CallOption,
) (*JSONTranscript, error) {
	data, err := rest.Raw(ctx, s.caller, &conversationsGetJSONTranscript, rest.Input{Path: rest.Path{rest.ID(id)}}, opts)
	if err != nil {
		return nil, err
	}
	transcript := new(JSONTranscript)
	return transcript, transcript.UnmarshalJSON(data)
}

// UnmarshalJSON decodes a conversation as sent by the API or encoded by MarshalJSON.
func (c *Conversation) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, c) }

// MarshalJSON encodes the conversation with the API's names and units, Extra included.
func (c Conversation) MarshalJSON() ([]byte, error) {
	type fields Conversation
	return wire.Marshal(fields(c))
}

// UnmarshalJSON decodes a request encoded by MarshalJSON. Numbers in Attributes become [json.Number].
func (r *ConversationCreateRequest) UnmarshalJSON(data []byte) error {
	var body conversationCreateBody
	if err := wire.UnmarshalObject(data, &body); err != nil {
		return err
	}
	attributes := body.Message.Attributes
	*r = ConversationCreateRequest{Email: body.Email, Body: body.Message.Body}
	if source, ok := attributes.String(attributeSource); ok {
		r.IntegrationSource = source
		delete(attributes, attributeSource)
	}
	if id, ok := attributes.Int64(attributeAssignee); ok {
		r.AutoAssigneeID = drift.UserID(id)
		delete(attributes, attributeAssignee)
	}
	if len(attributes) > 0 {
		r.Attributes = attributes
	}
	return nil
}

// MarshalJSON encodes the request as it is sent.
func (r ConversationCreateRequest) MarshalJSON() ([]byte, error) {
	body, err := r.merged()
	if err != nil {
		return nil, err
	}
	return wire.Marshal(body)
}

// UnmarshalJSON decodes statistics as sent by the API or encoded by MarshalJSON.
func (s *ConversationStats) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, s) }

// MarshalJSON encodes the statistics with the API's names, Extra included.
func (s ConversationStats) MarshalJSON() ([]byte, error) {
	type fields ConversationStats
	return wire.Marshal(fields(s))
}

// UnmarshalJSON decodes a transcript as sent by the API or encoded by MarshalJSON.
func (t *JSONTranscript) UnmarshalJSON(data []byte) error {
	*t = JSONTranscript{Raw: append(json.RawMessage(nil), data...)}
	var object struct {
		Messages []*Message `json:"messages"`
	}
	if wire.Unmarshal(data, &t.Messages) == nil {
		return nil
	}
	t.Messages = nil
	if wire.Unmarshal(data, &object) == nil {
		t.Messages = object.Messages
	}
	return nil
}

// MarshalJSON encodes the transcript as it came.
func (t JSONTranscript) MarshalJSON() ([]byte, error) {
	if t.Raw != nil {
		return t.Raw, nil
	}
	return wire.Marshal(map[string]any{"messages": t.Messages})
}
