package classic

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"reflect"
	"strconv"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/rest"
	"github.com/driftsdk/drift/internal/wire"
)

// SCIMService provisions users by SCIM 2.0, which only paid plans have. No source says which scope the calls need.
//
// The interface may grow in minor versions: embed it in a fake, or declare an interface of the methods that you use.
type SCIMService interface {
	// ListUsers returns one page of the users: GET scim/Users.
	ListUsers(
		ctx context.Context, options SCIMListUsersOptions, opts ...drift.CallOption,
	) (*drift.Page[SCIMUser], error)

	// AllUsers ranges over every user that matches the filter, page by page; see drift.Collect,
	// drift.PageError and drift.RecordError.
	AllUsers(
		ctx context.Context, options SCIMListUsersOptions, opts ...drift.CallOption,
	) iter.Seq2[*SCIMUser, error]

	// GetUser returns a user: GET scim/Users/{scimUserId}. If it does not exist, the error matches
	// drift.ErrNotFound.
	GetUser(ctx context.Context, id SCIMUserID, opts ...drift.CallOption) (*SCIMUser, error)

	// CreateUser provisions a user: POST scim/Users. UserName and DisplayName are required.
	CreateUser(ctx context.Context, req SCIMUserCreateRequest, opts ...drift.CallOption) (*SCIMUser, error)

	// ReplaceUser replaces all fields of a user: PUT scim/Users/{scimUserId}. UserName and
	// DisplayName are required. Like other writes it is not repeated if its fate is unknown, unless
	// drift.WithIdempotent allows it.
	ReplaceUser(
		ctx context.Context, id SCIMUserID, req SCIMUserCreateRequest, opts ...drift.CallOption,
	) (*SCIMUser, error)

	// UpdateUser changes the fields that are set: PATCH scim/Users/{scimUserId}. To deactivate a
	// user, set Active to false. The body is a user with some fields, not the PatchOp of the SCIM
	// standard. A request that sets no field is a *drift.ValidationError.
	UpdateUser(
		ctx context.Context, id SCIMUserID, req SCIMUserUpdateRequest, opts ...drift.CallOption,
	) (*SCIMUser, error)

	// DeleteUser removes a user: DELETE scim/Users/{scimUserId}. This cannot be undone, and the
	// same person cannot be provisioned again.
	DeleteUser(ctx context.Context, id SCIMUserID, opts ...drift.CallOption) error
}

// SCIMUserID is the id of a user in SCIM, a numeric string.
type SCIMUserID string

// String returns the id unchanged.
func (id SCIMUserID) String() string { return string(id) }

// UnmarshalJSON accepts a string, a number or null. It keeps the text of a number.
func (id *SCIMUserID) UnmarshalJSON(data []byte) error {
	text, err := wire.ParseText(data)
	*id = SCIMUserID(text)
	return err
}

// SCIMUser is a provisioned user.
type SCIMUser struct {
	ID           SCIMUserID      `json:"id" wire:"id"`
	ExternalID   string          `json:"externalId,omitzero"`
	UserName     string          `json:"userName,omitzero"` // an e-mail address
	Name         *SCIMName       `json:"name,omitzero"`
	DisplayName  string          `json:"displayName,omitzero"`
	Active       bool            `json:"active,omitzero"`
	Emails       []SCIMValue     `json:"emails,omitzero"`
	PhoneNumbers []SCIMValue     `json:"phoneNumbers,omitzero"`
	Photos       []SCIMValue     `json:"photos,omitzero"`
	Roles        []SCIMValue     `json:"roles,omitzero"` // MEMBER, ADMIN, OWNER, or such as role-ids=[208]
	Locale       string          `json:"locale,omitzero"`
	Schemas      []string        `json:"schemas,omitzero"`
	Meta         json.RawMessage `json:"meta,omitzero"`

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// SCIMName is the name of a user.
type SCIMName struct {
	Formatted  string `json:"formatted,omitzero"`
	FamilyName string `json:"familyName,omitzero"`
	GivenName  string `json:"givenName,omitzero"`

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// SCIMValue is one of several e-mail addresses, phone numbers, photos or roles of a user. Any field may be missing.
type SCIMValue struct {
	Value   string `json:"value,omitzero"`
	Display string `json:"display,omitzero"`
	Type    string `json:"type,omitzero"`
	Primary bool   `json:"primary,omitzero"`

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// SCIMListUsersOptions are the options of GET scim/Users.
type SCIMListUsersOptions struct {
	Filter string `query:"filter"` // by SCIM, such as userName eq "ada@example.com"; "": all users

	Limit  int    // users per page, 1 to 100; 0: 100
	Cursor string // where to start: drift.Page.Next or drift.PageError.Cursor; "": at the beginning
}

func (o SCIMListUsersOptions) input() rest.Input {
	return rest.Input{Query: o, At: "Resources", Sparse: true, Paging: &scimPaging, Limit: o.Limit, Cursor: o.Cursor}
}

const errCursor = wire.Reason("must be a number greater than 0")

// scimPaging counts users from 1. The service's itemsPerPage may be 0, so the users of a page are counted.
var scimPaging = rest.Paging{
	Limit: "count", Max: 100,
	Seek: func(query url.Values, cursor string) error {
		start, err := startIndex(cursor)
		if err != nil {
			return err
		}
		query.Set("startIndex", strconv.Itoa(start))
		return nil
	},
	Next: func(a *rest.Around) (string, error) {
		start, err := startIndex(a.Cursor)
		if err != nil || a.Count == 0 {
			return "", err
		}
		around := struct {
			Total *int `json:"totalResults"`
		}{}
		if a.Object != nil {
			if err := a.Object.Decode(&around); err != nil {
				return "", err
			}
		}
		next := start + a.Count
		if around.Total == nil && a.Count < a.Limit || around.Total != nil && next > *around.Total {
			return "", nil
		}
		return strconv.Itoa(next), nil
	},
}

func startIndex(cursor string) (int, error) {
	if cursor == "" {
		return 1, nil
	}
	start, err := strconv.Atoi(cursor)
	if err != nil || start < 1 {
		return 0, invalid("cursor", errCursor)
	}
	return start, nil
}

// SCIMUserCreateRequest is the body of POST scim/Users and PUT scim/Users/{scimUserId}. Zero fields are not sent. The
// client adds the schema.
type SCIMUserCreateRequest struct {
	Active       *bool       `json:"active,omitzero"`
	DisplayName  string      `json:"displayName,omitzero"`
	Emails       []SCIMValue `json:"emails,omitempty"`
	Locale       string      `json:"locale,omitzero"`
	Name         *SCIMName   `json:"name,omitzero"`
	PhoneNumbers []SCIMValue `json:"phoneNumbers,omitempty"`
	Roles        []SCIMValue `json:"roles,omitempty"`
	UserName     string      `json:"userName,omitzero"` // an e-mail address
}

// SCIMUserUpdateRequest is the body of PATCH scim/Users/{scimUserId}. Zero fields stay unchanged. The client adds the
// schema.
type SCIMUserUpdateRequest struct {
	Active       drift.Optional[bool]        `json:"active,omitzero"`
	DisplayName  drift.Optional[string]      `json:"displayName,omitzero"`
	Emails       drift.Optional[[]SCIMValue] `json:"emails,omitzero"`
	IsActive     drift.Optional[bool]        `json:"isActive,omitzero"` // false deletes the user for good, like DeleteUser
	Locale       drift.Optional[string]      `json:"locale,omitzero"`
	Name         drift.Optional[SCIMName]    `json:"name,omitzero"`
	PhoneNumbers drift.Optional[[]SCIMValue] `json:"phoneNumbers,omitzero"`
	Roles        drift.Optional[[]SCIMValue] `json:"roles,omitzero"`
	UserName     drift.Optional[string]      `json:"userName,omitzero"`
}

// scimSchema is the schema of requests. Answers name another one.
const scimSchema = "urn:scim:schemas:core:2.0"

type scimUserCreateBody struct {
	Schemas []string `json:"schemas"`
	SCIMUserCreateRequest
}

type scimUserUpdateBody struct {
	Schemas []string `json:"schemas"`
	SCIMUserUpdateRequest
}

func (r *SCIMUserCreateRequest) input() rest.Input {
	err := checkUTF8(r)
	switch {
	case r.UserName == "":
		err = invalid("userName", errRequired)
	case r.DisplayName == "":
		err = invalid("displayName", errRequired)
	}
	return rest.Input{Body: &scimUserCreateBody{[]string{scimSchema}, *r}, Err: err}
}

const errNoField = wire.Reason("sets no field")

func (r *SCIMUserUpdateRequest) check() error {
	if reflect.ValueOf(r).Elem().IsZero() {
		return invalid("req", errNoField)
	}
	return checkUTF8(r)
}

var (
	scimListUsers   = rest.Route{Name: "classic.scim.listUsers", Method: http.MethodGet, Path: "scim/Users"}
	scimGetUser     = rest.Route{Name: "classic.scim.getUser", Method: http.MethodGet, Path: "scim/Users/{scimUserId}"}
	scimCreateUser  = rest.Route{Name: "classic.scim.createUser", Method: http.MethodPost, Path: "scim/Users"}
	scimReplaceUser = rest.Route{Name: "classic.scim.replaceUser", Method: http.MethodPut, Path: "scim/Users/{scimUserId}"}
	scimUpdateUser  = rest.Route{Name: "classic.scim.updateUser", Method: http.MethodPatch, Path: "scim/Users/{scimUserId}"}
	scimDeleteUser  = rest.Route{Name: "classic.scim.deleteUser", Method: http.MethodDelete, Path: "scim/Users/{scimUserId}"}
)

type scim struct{ *caller }

func (s scim) ListUsers(
	ctx context.Context, options SCIMListUsersOptions, opts ...drift.CallOption,
) (*drift.Page[SCIMUser], error) {
	page, err := rest.List[SCIMUser](ctx, s.caller, &scimListUsers, options.input(), opts)
	return (*drift.Page[SCIMUser])(page), err
}

func (s scim) AllUsers(
	ctx context.Context, options SCIMListUsersOptions, opts ...drift.CallOption,
) iter.Seq2[*SCIMUser, error] {
	return rest.All[SCIMUser](ctx, s.caller, &scimListUsers, options.input(), opts)
}

func (s scim) GetUser(ctx context.Context, id SCIMUserID, opts ...drift.CallOption) (*SCIMUser, error) {
	return rest.One[SCIMUser](ctx, s.caller, &scimGetUser, rest.Input{Path: rest.Path{rest.OwnText(id)}}, opts)
}

func (s scim) CreateUser(
	ctx context.Context, req SCIMUserCreateRequest, opts ...drift.CallOption,
) (*SCIMUser, error) {
	return rest.One[SCIMUser](ctx, s.caller, &scimCreateUser, req.input(), opts)
}

func (s scim) ReplaceUser(
	ctx context.Context, id SCIMUserID, req SCIMUserCreateRequest, opts ...drift.CallOption,
) (*SCIMUser, error) {
	in := req.input()
	in.Path = rest.Path{rest.OwnText(id)}
	return rest.One[SCIMUser](ctx, s.caller, &scimReplaceUser, in, opts)
}

func (s scim) UpdateUser(
	ctx context.Context, id SCIMUserID, req SCIMUserUpdateRequest, opts ...drift.CallOption,
) (*SCIMUser, error) {
	return rest.One[SCIMUser](ctx, s.caller, &scimUpdateUser, rest.Input{
		Path: rest.Path{rest.OwnText(id)},
		Body: &scimUserUpdateBody{[]string{scimSchema}, req},
		Err:  req.check(),
	}, opts)
}

func (s scim) DeleteUser(ctx context.Context, id SCIMUserID, opts ...drift.CallOption) error {
	return rest.OK(ctx, s.caller, &scimDeleteUser, rest.Input{Path: rest.Path{rest.Text(id)}}, opts)
}

// UnmarshalJSON decodes a user as sent by the API or encoded by MarshalJSON.
func (u *SCIMUser) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, u) }

// MarshalJSON encodes the user with the API's names, Extra included.
func (u SCIMUser) MarshalJSON() ([]byte, error) {
	type fields SCIMUser
	return wire.Marshal(fields(u))
}

// UnmarshalJSON decodes a name as sent by the API or encoded by MarshalJSON.
func (n *SCIMName) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, n) }

// MarshalJSON encodes the name with the API's names, Extra included.
func (n SCIMName) MarshalJSON() ([]byte, error) {
	type fields SCIMName
	return wire.Marshal(fields(n))
}

// UnmarshalJSON decodes a value as sent by the API or encoded by MarshalJSON.
func (v *SCIMValue) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, v) }

// MarshalJSON encodes the value with the API's names, Extra included.
func (v SCIMValue) MarshalJSON() ([]byte, error) {
	type fields SCIMValue
	return wire.Marshal(fields(v))
}
