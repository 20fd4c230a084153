package classic

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/rest"
	"github.com/driftsdk/drift/internal/wire"
)

// ContactsService reads and writes contacts. The API has no list of all contacts. It rejects query parameters that it
// does not know with the code CONTACT-10.
//
// The interface may grow in minor versions: embed it in a fake, or declare an interface of the methods that you use.
type ContactsService interface {
	// Create creates a contact: POST contacts. If a contact has the address already, the error
	// matches drift.ErrConflict, unless the request has an external id, which then must be new.
	Create(ctx context.Context, req ContactCreateRequest, opts ...drift.CallOption) (*Contact, error)

	// Get returns a contact: GET contacts/{contactId}. If it does not exist, the error matches
	// drift.ErrNotFound.
	Get(ctx context.Context, id drift.ContactID, opts ...drift.CallOption) (*Contact, error)

	// ListByEmail returns the contacts with an address: GET contacts. Several contacts may have the
	// same address. If none has it, the list is empty. Contacts beyond the limit cannot be reached.
	// An address without "@" is a *drift.ValidationError.
	ListByEmail(
		ctx context.Context, email string, options ContactListOptions, opts ...drift.CallOption,
	) ([]*Contact, error)

	// ListByExternalID returns the contacts with these ids of your own: GET contacts. Ids that no
	// contact has are missing in the list.
	ListByExternalID(ctx context.Context, externalIDs []string, opts ...drift.CallOption) ([]*Contact, error)

	// Update changes the given attributes and leaves the others: PATCH contacts/{contactId}. A
	// request without attributes is a *drift.ValidationError.
	Update(
		ctx context.Context, id drift.ContactID, req ContactUpdateRequest, opts ...drift.CallOption,
	) (*Contact, error)

	// UpdateByExternalID is Update for the contact with an id of your own: PATCH
	// contacts/normalize.
	UpdateByExternalID(
		ctx context.Context, externalID string, req ContactUpdateRequest, opts ...drift.CallOption,
	) (*Contact, error)

	// Delete removes a contact from the index: DELETE contacts/{contactId}. It does not erase the
	// contact's data; see GDPRService.
	Delete(ctx context.Context, id drift.ContactID, opts ...drift.CallOption) error

	// Unsubscribe stops e-mails to these addresses: POST emails/unsubscribe. No address, or one
	// without "@", is a *drift.ValidationError.
	Unsubscribe(ctx context.Context, emails []string, opts ...drift.CallOption) error

	// CreateTimelineEvent adds an event to a contact's timeline: POST contacts/timeline. No
	// operation reads events.
	CreateTimelineEvent(
		ctx context.Context, req TimelineEventRequest, opts ...drift.CallOption,
	) (*TimelineEvent, error)

	// ListAttributes returns the attributes that the account defines for contacts: GET
	// contacts/attributes. It needs the scope all_contact_read.
	ListAttributes(ctx context.Context, opts ...drift.CallOption) ([]*CustomAttribute, error)

	// ListTags returns a contact's tags: GET contacts/{contactId}/tags.
	//
	// Deprecated: Drift has retired tags of contacts in favor of attributes.
	ListTags(ctx context.Context, id drift.ContactID, opts ...drift.CallOption) ([]*Tag, error)

	// AddTags adds tags to a contact and returns the contact's tags: POST
	// contacts/{contactId}/tags. The shape of the answer has confidence C. No tag, or one without a
	// name, is a *drift.ValidationError. If a tag of the answer does not decode, which is a
	// *drift.RecordError, the tags were added all the same.
	//
	// Deprecated: Drift has retired tags of contacts in favor of attributes.
	AddTags(ctx context.Context, id drift.ContactID, tags []Tag, opts ...drift.CallOption) ([]*Tag, error)

	// RemoveTag removes a tag from a contact: DELETE contacts/{contactId}/tags/{tagName}.
	//
	// Deprecated: Drift has retired tags of contacts in favor of attributes.
	RemoveTag(ctx context.Context, id drift.ContactID, name string, opts ...drift.CallOption) error

	// RemoveTags removes tags from a contact: POST contacts/{contactId}/tags/delete/_bulk. No name,
	// or an empty one, is a *drift.ValidationError.
	//
	// Deprecated: Drift has retired tags of contacts in favor of attributes.
	RemoveTags(ctx context.Context, id drift.ContactID, names []string, opts ...drift.CallOption) error
}

// Contact is a person known to the account. Almost everything about a contact is in Attributes, an open map whose keys
// keep their spelling: some differ only in case. Methods of Contact read the common ones.
type Contact struct {
	ID         drift.ContactID  `json:"id" wire:"id"`
	CreatedAt  time.Time        `json:"createdAt,omitzero"`
	Attributes drift.Attributes `json:"attributes,omitzero"`

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// The attributes that Contact and ContactCreateRequest have names for.
const (
	attributeEmail      = "email"
	attributeExternalID = "externalId"
	attributeName       = "name"
	attributePhone      = "phone"
)

// Email returns the attribute email, or "".
func (c Contact) Email() string { return c.text(attributeEmail) }

// Name returns the attribute name, or "".
func (c Contact) Name() string { return c.text(attributeName) }

// Phone returns the attribute phone, or "".
func (c Contact) Phone() string { return c.text(attributePhone) }

// ExternalID returns the id of your own, the attribute externalId or else external_id, or "". The service may have it
// as a number.
func (c Contact) ExternalID() string {
	if id := c.text(attributeExternalID); id != "" {
		return id
	}
	return c.text("external_id")
}

// text returns the text of a string or a number.
func (c Contact) text(key string) string {
	switch value := c.Attributes[key].(type) {
	case string:
		return value
	case json.Number:
		return value.String()
	}
	return ""
}

// Tags returns the attribute tags, or nil.
func (c Contact) Tags() []Tag {
	list, _ := c.Attributes["tags"].([]any)
	var tags []Tag
	for _, item := range list {
		var tag Tag
		if data, err := wire.MarshalOpen(item); err == nil && tag.UnmarshalJSON(data) == nil {
			tags = append(tags, tag)
		}
	}
	return tags
}

// StartDate returns the attribute start_date, or the zero time.
func (c Contact) StartDate() time.Time { return c.instant("start_date") }

// LastActive returns the attribute last_active, or the zero time.
func (c Contact) LastActive() time.Time { return c.instant("last_active") }

// LastContacted returns the attribute last_contacted, or the zero time.
func (c Contact) LastContacted() time.Time { return c.instant("last_contacted") }

func (c Contact) instant(key string) time.Time {
	value, _ := c.Attributes.Time(key)
	return value
}

// Tag is a tag of a contact or a conversation.
type Tag struct {
	Name  string `json:"name,omitzero" wire:"bare"`
	Color string `json:"color,omitzero"` // hex without #

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// ContactCreateRequest is the body of POST contacts. Zero fields are not sent. Email is required. A key of Attributes
// must not repeat a field that is set, and no attribute may be nil.
type ContactCreateRequest struct {
	Email      string
	ExternalID string // your own id. With it, another contact may have the same address
	Name       string
	Phone      string
	Attributes drift.Attributes
}

// contactBody is the body of operations that write attributes.
type contactBody struct {
	Attributes drift.Attributes `json:"attributes"`
}

const (
	errTwice       = wire.Reason("repeat a field of the request")
	errNil         = wire.Reason("must not be nil")
	errNoAttribute = wire.Reason("must have a key")
	errEmails      = wire.Reason("must all be e-mail addresses")
)

// named returns the fields that have a name in Attributes.
func (r *ContactCreateRequest) named() map[string]*string {
	return map[string]*string{
		attributeEmail: &r.Email, attributeExternalID: &r.ExternalID, attributeName: &r.Name, attributePhone: &r.Phone,
	}
}

// merged returns the body with the fields and the attributes in one map.
func (r ContactCreateRequest) merged() (*contactBody, error) {
	all := drift.Attributes{}
	for key, value := range r.Attributes {
		all[key] = value
	}
	for key, field := range r.named() {
		if _, again := all[key]; again && *field != "" {
			return nil, invalid("attributes", errTwice)
		}
		if *field != "" {
			all[key] = *field
		}
	}
	return &contactBody{all}, nil
}

func (r ContactCreateRequest) body() (*contactBody, error) {
	body, err := r.merged()
	if err != nil {
		return nil, err
	}
	email, _ := body.Attributes.String(attributeEmail)
	if err := rest.CheckEmail(email); err != nil {
		return nil, err
	}
	for _, value := range body.Attributes {
		if text, err := wire.MarshalOpen(value); err == nil && string(text) == "null" {
			return nil, invalid("attributes", errNil)
		}
	}
	return body, nil
}

// ContactUpdateRequest is the body of PATCH contacts/{contactId} and PATCH contacts/normalize. An attribute that is nil
// is sent as null. That the service clears it then has confidence D.
type ContactUpdateRequest struct {
	Attributes drift.Attributes `json:"attributes,omitzero"`
}

func (r ContactUpdateRequest) check() error {
	if len(r.Attributes) == 0 {
		return invalid("attributes", errNoAttribute)
	}
	return nil
}

// ContactListOptions are the options of ListByEmail.
type ContactListOptions struct {
	Limit int // contacts, 1 to 100; 0: 100
}

// TimelineEventRequest is the body of POST contacts/timeline. Zero fields are not sent. Event and exactly one of
// ContactID and ExternalID are required.
type TimelineEventRequest struct {
	ContactID  drift.ContactID `json:"contactId,omitzero"`
	ExternalID string          `json:"externalId,omitzero"`
	Event      string          `json:"event,omitzero"`     // Drift shows it in lower case
	CreatedAt  time.Time       `json:"createdAt,omitzero"` // zero: now
}

// timelineEventBody has no MarshalJSON, so that the encoder checks its fields.
type timelineEventBody TimelineEventRequest

const errOneID = wire.Reason("or externalId is required, but not both")

func (r TimelineEventRequest) check() error {
	switch {
	case (r.ContactID == 0) == (r.ExternalID == ""):
		return invalid("contactId", errOneID)
	case r.Event == "":
		return invalid("event", errRequired)
	}
	return nil
}

// TimelineEvent is an event on a contact's timeline.
type TimelineEvent struct {
	ContactID  drift.ContactID `json:"contactId,omitzero"`
	ExternalID string          `json:"externalId,omitzero"`
	Event      string          `json:"event,omitzero"` // in lower case, whatever was sent
	CreatedAt  time.Time       `json:"createdAt,omitzero"`

	// Attributes can no longer be sent.
	//
	// Deprecated: by Drift.
	Attributes drift.Attributes `json:"attributes,omitzero"`

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// CustomAttribute is an attribute that the account defines for its contacts.
type CustomAttribute struct {
	Name        string        `json:"name,omitzero"` // the key in Attributes
	DisplayName string        `json:"displayName,omitzero"`
	Type        AttributeType `json:"type,omitzero"`

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// AttributeType is the type of a custom attribute. The API may know more values than this package.
type AttributeType string

// The known types of custom attributes.
const (
	AttributeTypeString   AttributeType = "STRING"
	AttributeTypeNumeric  AttributeType = "NUMERIC"
	AttributeTypeBoolean  AttributeType = "BOOLEAN"
	AttributeTypeDateTime AttributeType = "DATETIME"
	AttributeTypeDate     AttributeType = "DATE"
)

// IsKnown reports whether this package has a constant for the type.
func (t AttributeType) IsKnown() bool {
	switch t {
	case AttributeTypeString, AttributeTypeNumeric, AttributeTypeBoolean, AttributeTypeDateTime, AttributeTypeDate:
		return true
	}
	return false
}

var (
	contactsCreate              = rest.Route{Name: "classic.contacts.create", Method: http.MethodPost, Path: "contacts"}
	contactsGet                 = rest.Route{Name: "classic.contacts.get", Method: http.MethodGet, Path: "contacts/{contactId}"}
	contactsListByEmail         = rest.Route{Name: "classic.contacts.listByEmail", Method: http.MethodGet, Path: "contacts"}
	contactsListByExternalID    = rest.Route{Name: "classic.contacts.listByExternalId", Method: http.MethodGet, Path: "contacts"}
	contactsUpdate              = rest.Route{Name: "classic.contacts.update", Method: http.MethodPatch, Path: "contacts/{contactId}"}
	contactsUpdateByExternalID  = rest.Route{Name: "classic.contacts.updateByExternalId", Method: http.MethodPatch, Path: "contacts/normalize"}
	contactsDelete              = rest.Route{Name: "classic.contacts.delete", Method: http.MethodDelete, Path: "contacts/{contactId}"}
	contactsUnsubscribe         = rest.Route{Name: "classic.contacts.unsubscribe", Method: http.MethodPost, Path: "emails/unsubscribe"}
	contactsCreateTimelineEvent = rest.Route{Name: "classic.contacts.createTimelineEvent", Method: http.MethodPost, Path: "contacts/timeline"}
	contactsListAttributes      = rest.Route{Name: "classic.contacts.listAttributes", Method: http.MethodGet, Path: "contacts/attributes"}
	contactsListTags            = rest.Route{Name: "classic.contacts.listTags", Method: http.MethodGet, Path: "contacts/{contactId}/tags"}
	contactsAddTags             = rest.Route{Name: "classic.contacts.addTags", Method: http.MethodPost, Path: "contacts/{contactId}/tags"}
	contactsRemoveTag           = rest.Route{Name: "classic.contacts.removeTag", Method: http.MethodDelete, Path: "contacts/{contactId}/tags/{tagName}"}
	contactsRemoveTags          = rest.Route{Name: "classic.contacts.removeTags", Method: http.MethodPost, Path: "contacts/{contactId}/tags/delete/_bulk"}
)

// contactPaging has a limit only: no answer leads to a second page.
var contactPaging = rest.Paging{Limit: "limit", Max: 100}

type contacts struct{ *caller }

func (s contacts) Create(
	ctx context.Context, req ContactCreateRequest, opts ...drift.CallOption,
) (*Contact, error) {
	body, invalid := req.body()
	return rest.One[Contact](ctx, s.caller, &contactsCreate, rest.Input{Body: body, Err: invalid}, opts)
}

func (s contacts) Get(ctx context.Context, id drift.ContactID, opts ...drift.CallOption) (*Contact, error) {
	return rest.One[Contact](ctx, s.caller, &contactsGet, rest.Input{Path: rest.Path{rest.ID(id)}}, opts)
}

func (s contacts) ListByEmail(
	ctx context.Context, email string, options ContactListOptions, opts ...drift.CallOption,
) ([]*Contact, error) {
	return rest.Items[Contact](ctx, s.caller, &contactsListByEmail, rest.Input{
		Query: url.Values{"email": {email}}, Err: rest.CheckEmail(email),
		Paging: &contactPaging, Limit: options.Limit, Single: true,
	}, opts)
}

func (s contacts) ListByExternalID(
	ctx context.Context, externalIDs []string, opts ...drift.CallOption,
) ([]*Contact, error) {
	return rest.Items[Contact](ctx, s.caller, &contactsListByExternalID, rest.Input{
		Query: externalIDQuery(externalIDs...), Err: checkTexts("externalIDs", externalIDs), Single: true,
	}, opts)
}

func externalIDQuery(ids ...string) url.Values { return url.Values{"idType": {"external"}, "id": ids} }

func (s contacts) Update(
	ctx context.Context, id drift.ContactID, req ContactUpdateRequest, opts ...drift.CallOption,
) (*Contact, error) {
	return rest.One[Contact](ctx, s.caller, &contactsUpdate,
		rest.Input{Path: rest.Path{rest.ID(id)}, Body: &req, Err: req.check()}, opts)
}

func (s contacts) UpdateByExternalID(
	ctx context.Context, externalID string, req ContactUpdateRequest, opts ...drift.CallOption,
) (*Contact, error) {
	return rest.One[Contact](ctx, s.caller, &contactsUpdateByExternalID, rest.Input{
		Query: externalIDQuery(externalID), Body: &req,
		Err: firstError(checkTexts("externalID", []string{externalID}), req.check()),
	}, opts)
}

func (s contacts) Delete(ctx context.Context, id drift.ContactID, opts ...drift.CallOption) error {
	return rest.OK(ctx, s.caller, &contactsDelete, rest.Input{Path: rest.Path{rest.ID(id)}}, opts)
}

func (s contacts) Unsubscribe(ctx context.Context, emails []string, opts ...drift.CallOption) error {
	return rest.OK(ctx, s.caller, &contactsUnsubscribe, rest.Input{Body: emails, Err: checkEmails(emails)}, opts)
}

func checkEmails(emails []string) error {
	for _, email := range emails {
		if rest.CheckEmail(email) != nil {
			return invalid("emails", errEmails)
		}
	}
	return checkTexts("emails", emails)
}

func (s contacts) CreateTimelineEvent(
	ctx context.Context, req TimelineEventRequest, opts ...drift.CallOption,
) (*TimelineEvent, error) {
	return rest.One[TimelineEvent](ctx, s.caller, &contactsCreateTimelineEvent,
		rest.Input{Body: (*timelineEventBody)(&req), Err: req.check()}, opts)
}

func (s contacts) ListAttributes(ctx context.Context, opts ...drift.CallOption) ([]*CustomAttribute, error) {
	return rest.Items[CustomAttribute](ctx, s.caller, &contactsListAttributes, rest.Input{At: "properties"}, opts)
}

func (s contacts) ListTags(ctx context.Context, id drift.ContactID, opts ...drift.CallOption) ([]*Tag, error) {
	return rest.Items[Tag](ctx, s.caller, &contactsListTags, rest.Input{Path: rest.Path{rest.ID(id)}}, opts)
}

func (s contacts) AddTags(
	ctx context.Context, id drift.ContactID, tags []Tag, opts ...drift.CallOption,
) ([]*Tag, error) {
	var names []string
	for _, tag := range tags {
		names = append(names, tag.Name)
	}
	return rest.Items[Tag](ctx, s.caller, &contactsAddTags,
		rest.Input{Path: rest.Path{rest.ID(id)}, Body: tags, Err: checkTexts("tags", names)}, opts)
}

func (s contacts) RemoveTag(
	ctx context.Context, id drift.ContactID, name string, opts ...drift.CallOption,
) error {
	return rest.OK(ctx, s.caller, &contactsRemoveTag, rest.Input{Path: rest.Path{rest.ID(id), rest.Text(name)}}, opts)
}

func (s contacts) RemoveTags(
	ctx context.Context, id drift.ContactID, names []string, opts ...drift.CallOption,
) error {
	return rest.OK(ctx, s.caller, &contactsRemoveTags,
		rest.Input{Path: rest.Path{rest.ID(id)}, Body: names, Err: checkTexts("names", names)}, opts)
}

// UnmarshalJSON decodes a contact as sent by the API or encoded by MarshalJSON.
func (c *Contact) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, c) }

// MarshalJSON encodes the contact with the API's names and units, Extra included.
func (c Contact) MarshalJSON() ([]byte, error) {
	type fields Contact
	return wire.Marshal(fields(c))
}

// UnmarshalJSON decodes a tag as sent by the API or encoded by MarshalJSON.
func (t *Tag) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, t) }

// MarshalJSON encodes the tag with the API's names, Extra included.
func (t Tag) MarshalJSON() ([]byte, error) {
	type fields Tag
	return wire.Marshal(fields(t))
}

// UnmarshalJSON decodes a request encoded by MarshalJSON. Numbers in Attributes become [json.Number].
func (r *ContactCreateRequest) UnmarshalJSON(data []byte) error {
	var body contactBody
	if err := wire.UnmarshalObject(data, &body); err != nil {
		return err
	}
	*r = ContactCreateRequest{}
	for key, field := range r.named() {
		if text, ok := body.Attributes.String(key); ok && text != "" {
			*field = text
			delete(body.Attributes, key)
		}
	}
	if len(body.Attributes) > 0 {
		r.Attributes = body.Attributes
	}
	return nil
}

// MarshalJSON encodes the request as it is sent: all fields are attributes.
func (r ContactCreateRequest) MarshalJSON() ([]byte, error) {
	body, err := r.merged()
	if err != nil {
		return nil, err
	}
	return wire.Marshal(body)
}

// UnmarshalJSON decodes a request encoded by MarshalJSON.
func (r *TimelineEventRequest) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, r) }

// MarshalJSON encodes the request with the API's names and units.
func (r TimelineEventRequest) MarshalJSON() ([]byte, error) {
	return wire.Marshal(timelineEventBody(r))
}

// UnmarshalJSON decodes an event as sent by the API or encoded by MarshalJSON.
func (e *TimelineEvent) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, e) }

// MarshalJSON encodes the event with the API's names and units, Extra included.
func (e TimelineEvent) MarshalJSON() ([]byte, error) {
	type fields TimelineEvent
	return wire.Marshal(fields(e))
}

// UnmarshalJSON decodes an attribute as sent by the API or encoded by MarshalJSON.
func (a *CustomAttribute) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, a) }

// MarshalJSON encodes the attribute with the API's names, Extra included.
func (a CustomAttribute) MarshalJSON() ([]byte, error) {
	type fields CustomAttribute
	return wire.Marshal(fields(a))
}
