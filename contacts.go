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

// ContactsService reads and writes contacts.
//
// The interface may grow in minor versions: embed it in a fake, or declare an interface of the methods that you use.
type ContactsService interface {
	// Get returns a contact: GET v2/contacts/{contactId}. If it does not exist, the error matches [ErrNotFound].
	Get(ctx context.Context, id ContactID, opts ...CallOption) (*Contact, error)

	// Create creates a contact: POST v2/contacts.
	Create(ctx context.Context, req ContactCreateRequest, opts ...CallOption) (*Contact, error)

	// UpsertByEmail returns the contact with this address and creates it if necessary: POST v2/contacts/raw. An address
	// without "@" is a [*ValidationError].
	UpsertByEmail(ctx context.Context, email string, opts ...CallOption) (*Contact, error)

	// Update changes the fields that are set: PATCH v2/contacts/{contactId}. A request that sets no field is a
	// [*ValidationError].
	Update(ctx context.Context, id ContactID, req ContactUpdateRequest, opts ...CallOption) (*Contact, error)

	// Delete removes a contact: DELETE v2/contacts/{contactId}.
	Delete(ctx context.Context, id ContactID, opts ...CallOption) error

	// List returns one page of the contacts that match the options: GET v2/contacts.
	List(ctx context.Context, options ContactListOptions, opts ...CallOption) (*Page[Contact], error)

	// All ranges over every contact that matches the options, page by page; see [Collect], [PageError] and
	// [RecordError].
	All(ctx context.Context, options ContactListOptions, opts ...CallOption) iter.Seq2[*Contact, error]

	// MatchEmail returns the contact with this address: GET v2/contacts/match-email. It never creates a contact. If
	// none has the address, the error matches [ErrNotFound]. An address without "@" is a [*ValidationError].
	MatchEmail(ctx context.Context, email string, opts ...CallOption) (*Contact, error)
}

// Contact is a person known to the account.
type Contact struct {
	ID               ContactID  `json:"id" wire:"id"`
	Email            string     `json:"email,omitzero"`
	AssignedUserID   UserID     `json:"assigned_user_id,omitzero"` // 0: unassigned
	WorkflowID       WorkflowID `json:"workflow_id,omitzero"`
	Labels           []string   `json:"labels,omitzero"`
	Tags             []TagRef   `json:"tags,omitzero"`
	Users            []UserID   `json:"users,omitzero"`
	CustomAttributes Attributes `json:"custom_attributes,omitzero"`
	Attributes       Attributes `json:"attributes,omitzero"` // the open map of the classic API
	CreatedAt        time.Time  `json:"created_at,omitzero"`
	UpdatedAt        time.Time  `json:"updated_at,omitzero"`

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// ContactCreateRequest is the body of POST v2/contacts. Zero fields are not sent. This operation takes no e-mail
// address; to create a contact with one, use [ContactsService.UpsertByEmail].
type ContactCreateRequest struct {
	BackgroundMode *bool    `json:"background_mode,omitzero"`
	Labels         []string `json:"labels,omitempty"`
	Tags           []string `json:"tags,omitempty"`
	Users          []UserID `json:"users,omitempty"`
}

// ContactUpdateRequest is the body of PATCH v2/contacts/{contactId}. Zero fields stay unchanged.
type ContactUpdateRequest struct {
	AssignedUserID   Optional[UserID]     `json:"assigned_user_id,omitzero"` // Null unassigns
	BackgroundMode   Optional[bool]       `json:"background_mode,omitzero"`
	CustomAttributes Optional[Attributes] `json:"custom_attributes,omitzero"` // merged; a key with nil is cleared
	Email            Optional[string]     `json:"email,omitzero"`
	Labels           Optional[[]string]   `json:"labels,omitzero"`
	Tags             Optional[[]string]   `json:"tags,omitzero"`
}

// ContactListOptions are the options of GET v2/contacts. Zero fields do not filter.
type ContactListOptions struct {
	BackgroundMode   *bool      `query:"background_mode"`
	CustomAttributes Attributes `query:"custom_attributes"` // strings, numbers and booleans
	Email            string     `query:"email"`
	Labels           []string   `query:"labels"`
	Search           string     `query:"search"`
	Tags             []string   `query:"tags"`
	WorkflowID       WorkflowID `query:"workflow_id"`

	Limit  int    // items per page, 1 to 100; 0: 100
	Cursor string // where to start: [Page.Next] or [PageError.Cursor]; "": at the beginning
}

func (o ContactListOptions) page() paging { return paging{o.Limit, o.Cursor} }

// emailArgument is the body of upsertByEmail and the query of matchEmail.
type emailArgument struct {
	Email string `json:"email" query:"email"`
}

var (
	contactsGet           = rest.Route{Name: "contacts.get", Method: http.MethodGet, Path: "v2/contacts/{contactId}"}
	contactsCreate        = rest.Route{Name: "contacts.create", Method: http.MethodPost, Path: "v2/contacts"}
	contactsUpsertByEmail = rest.Route{Name: "contacts.upsertByEmail", Method: http.MethodPost, Path: "v2/contacts/raw"}
	contactsUpdate        = rest.Route{Name: "contacts.update", Method: http.MethodPatch, Path: "v2/contacts/{contactId}"}
	contactsDelete        = rest.Route{Name: "contacts.delete", Method: http.MethodDelete, Path: "v2/contacts/{contactId}"}
	contactsList          = rest.Route{Name: "contacts.list", Method: http.MethodGet, Path: "v2/contacts"}
	contactsMatchEmail    = rest.Route{Name: "contacts.matchEmail", Method: http.MethodGet, Path: "v2/contacts/match-email"}
)

type contacts struct{ *caller }

func (s contacts) Get(ctx context.Context, id ContactID, opts ...CallOption) (*Contact, error) {
	return rest.One[Contact](ctx, s.caller, &contactsGet, rest.Input{Path: rest.Path{rest.ID(id)}}, opts)
}

func (s contacts) Create(ctx context.Context, req ContactCreateRequest, opts ...CallOption) (*Contact, error) {
	return rest.One[Contact](ctx, s.caller, &contactsCreate, rest.Input{Body: &req}, opts)
}

func (s contacts) UpsertByEmail(ctx context.Context, email string, opts ...CallOption) (*Contact, error) {
	return rest.One[Contact](ctx, s.caller, &contactsUpsertByEmail,
		rest.Input{Body: &emailArgument{email}, Err: rest.CheckEmail(email)}, opts)
}

func (s contacts) Update(
	ctx context.Context, id ContactID, req ContactUpdateRequest, opts ...CallOption,
) (*Contact, error) {
	return rest.One[Contact](ctx, s.caller, &contactsUpdate, rest.Input{Path: rest.Path{rest.ID(id)}, Body: &req}, opts)
}

func (s contacts) Delete(ctx context.Context, id ContactID, opts ...CallOption) error {
	return rest.None(ctx, s.caller, &contactsDelete, rest.Input{Path: rest.Path{rest.ID(id)}}, opts)
}

func (s contacts) List(ctx context.Context, options ContactListOptions, opts ...CallOption) (*Page[Contact], error) {
	return list[Contact](ctx, s.caller, &contactsList, rest.Input{Query: options}, opts)
}

func (s contacts) All(ctx context.Context, options ContactListOptions, opts ...CallOption) iter.Seq2[*Contact, error] {
	return all[Contact](ctx, s.caller, &contactsList, rest.Input{Query: options}, opts)
}

func (s contacts) MatchEmail(ctx context.Context, email string, opts ...CallOption) (*Contact, error) {
	return rest.First[Contact](ctx, s.caller, &contactsMatchEmail,
		rest.Input{Query: emailArgument{email}, Err: rest.CheckEmail(email)}, opts)
}

// UnmarshalJSON decodes a contact as sent by the API or encoded by MarshalJSON.
func (c *Contact) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, c) }

// MarshalJSON encodes the contact with the API's names and units, Extra included.
func (c Contact) MarshalJSON() ([]byte, error) {
	type fields Contact
	return wire.Marshal(fields(c))
}
