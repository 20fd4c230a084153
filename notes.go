package drift

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/driftsdk/drift/internal/rest"
	"github.com/driftsdk/drift/internal/wire"
)

// NotesService reads and writes the notes on a conversation's timeline. The API cannot list them.
//
// The interface may grow in minor versions: embed it in a fake, or declare an interface of the methods that you use.
type NotesService interface {
	// Get returns a note: GET v2/conversations/{conversationId}/timeline/notes/{noteId}. If it does not exist, the
	// error matches [ErrNotFound].
	Get(ctx context.Context, conversationID ConversationID, id NoteID, opts ...CallOption) (*Note, error)

	// Create adds a note to a conversation: POST v2/conversations/{conversationId}/timeline/notes. The ClientID of an
	// [*AmbiguousError] is the client_id of the note that may have been created. No operation finds a note by it.
	Create(ctx context.Context, conversationID ConversationID, req NoteCreateRequest, opts ...CallOption) (*Note, error)

	// Update changes the fields that are set: PATCH v2/conversations/{conversationId}/timeline/notes/{noteId}. A
	// request that sets no field is a [*ValidationError].
	Update(
		ctx context.Context, conversationID ConversationID, id NoteID, req NoteUpdateRequest, opts ...CallOption,
	) (*Note, error)
}

// Note is an internal comment on a conversation, hidden from the contact.
type Note struct {
	ID              NoteID         `json:"id" wire:"id"`
	ConversationID  ConversationID `json:"conversation_id,omitzero"`
	ClientID        string         `json:"client_id,omitzero"` // a key that the writer chose
	ClientCreatedAt time.Time      `json:"client_created_at,omitzero"`
	Body            string         `json:"body,omitzero"`
	Type            string         `json:"type,omitzero"`
	User            UserID         `json:"user,omitzero"` // the author
	Labels          []string       `json:"labels,omitzero"`
	Tags            []TagRef       `json:"tags,omitzero"`
	Closed          bool           `json:"closed,omitzero"`
	CreatedAt       time.Time      `json:"created_at,omitzero"`
	UpdatedAt       time.Time      `json:"updated_at,omitzero"`

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// NoteCreateRequest is the body of POST v2/conversations/{conversationId}/timeline/notes. Zero fields are not sent.
type NoteCreateRequest struct {
	Body            string    `json:"body,omitzero"`
	ClientCreatedAt time.Time `json:"client_created_at,omitzero"`
	ClientID        string    `json:"client_id,omitzero"` // your key; "": a random UUID, the same in every attempt
	CreatedAt       time.Time `json:"created_at,omitzero"`
	Tags            []string  `json:"tags,omitempty"`
	Type            string    `json:"type,omitzero"`
	User            UserID    `json:"user,omitzero"`
}

// noteCreateBody has no MarshalJSON, so that the encoder checks its fields.
type noteCreateBody NoteCreateRequest

// NoteUpdateRequest is the body of PATCH v2/conversations/{conversationId}/timeline/notes/{noteId}. Zero fields stay
// unchanged.
type NoteUpdateRequest struct {
	Body      Optional[string]    `json:"body,omitzero"`
	Closed    Optional[bool]      `json:"closed,omitzero"`
	CreatedAt Optional[time.Time] `json:"created_at,omitzero"`
	Labels    Optional[[]string]  `json:"labels,omitzero"`
	Tags      Optional[[]string]  `json:"tags,omitzero"`
	Type      Optional[string]    `json:"type,omitzero"`
}

var (
	notesGet    = rest.Route{Name: "notes.get", Method: http.MethodGet, Path: "v2/conversations/{conversationId}/timeline/notes/{noteId}"}
	notesCreate = rest.Route{Name: "notes.create", Method: http.MethodPost, Path: "v2/conversations/{conversationId}/timeline/notes"}
	notesUpdate = rest.Route{Name: "notes.update", Method: http.MethodPatch, Path: "v2/conversations/{conversationId}/timeline/notes/{noteId}"}
)

type notes struct{ *caller }

func (s notes) Get(ctx context.Context, conversationID ConversationID, id NoteID, opts ...CallOption) (*Note, error) {
	return rest.One[Note](ctx, s.caller, &notesGet,
		rest.Input{Path: rest.Path{rest.ID(conversationID), rest.OwnID(id)}}, opts)
}

func (s notes) Create(
	ctx context.Context, conversationID ConversationID, req NoteCreateRequest, opts ...CallOption,
) (*Note, error) {
	req.ClientID = s.key(req.ClientID)
	return rest.One[Note](ctx, s.caller, &notesCreate, rest.Input{
		Path: rest.Path{rest.ID(conversationID)},
		Body: (*noteCreateBody)(&req),
		Key:  req.ClientID,
	}, opts)
}

func (s notes) Update(
	ctx context.Context, conversationID ConversationID, id NoteID, req NoteUpdateRequest, opts ...CallOption,
) (*Note, error) {
	return rest.One[Note](ctx, s.caller, &notesUpdate,
		rest.Input{Path: rest.Path{rest.ID(conversationID), rest.OwnID(id)}, Body: &req}, opts)
}

// UnmarshalJSON decodes a note as sent by the API or encoded by MarshalJSON.
func (n *Note) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, n) }

// MarshalJSON encodes the note with the API's names and units, Extra included.
func (n Note) MarshalJSON() ([]byte, error) {
	type fields Note
	return wire.Marshal(fields(n))
}

// UnmarshalJSON decodes a request encoded by MarshalJSON.
func (r *NoteCreateRequest) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, r) }

// MarshalJSON encodes the request with the API's names and units.
func (r NoteCreateRequest) MarshalJSON() ([]byte, error) {
	return wire.Marshal(noteCreateBody(r))
}
