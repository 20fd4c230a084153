package classic

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/rest"
	"github.com/driftsdk/drift/internal/wire"
)

// AccountsService reads and writes accounts, the companies that contacts belong to. The calls need the scopes
// account_read and account_write.
//
// The interface may grow in minor versions: embed it in a fake, or declare an interface of the methods that you use.
type AccountsService interface {
	// Create creates an account: POST accounts/create. OwnerID is required, and no other account may have the domain.
	Create(ctx context.Context, req AccountCreateRequest, opts ...drift.CallOption) (*Account, error)

	// Get returns an account, even one that was deleted: GET accounts/{accountId}. If it never existed, the error
	// matches [drift.ErrNotFound].
	Get(ctx context.Context, id AccountID, opts ...drift.CallOption) (*Account, error)

	// List returns one page of the accounts: GET accounts.
	List(ctx context.Context, options AccountListOptions, opts ...drift.CallOption) (*drift.Page[Account], error)

	// All ranges over every account, page by page; see [drift.Collect], [drift.PageError] and [drift.RecordError]. The
	// pages count from the beginning, so accounts that come or go during the loop can be missed or seen twice.
	All(ctx context.Context, options AccountListOptions, opts ...drift.CallOption) iter.Seq2[*Account, error]

	// Update changes the fields that are set, and always the owner: PATCH accounts/update.
	Update(ctx context.Context, id AccountID, req AccountUpdateRequest, opts ...drift.CallOption) (*Account, error)

	// Delete marks an account as deleted: DELETE accounts/{accountId}. Get still returns it.
	Delete(ctx context.Context, id AccountID, opts ...drift.CallOption) error
}

// Account is a company.
type Account struct {
	AccountID        AccountID        `json:"accountId" wire:"id"`
	OwnerID          drift.UserID     `json:"ownerId,omitzero"`
	Name             string           `json:"name,omitzero"`
	Domain           string           `json:"domain,omitzero"`
	Deleted          bool             `json:"deleted,omitzero"`
	Targeted         bool             `json:"targeted,omitzero"`
	CustomProperties []CustomProperty `json:"customProperties,omitzero"`
	CreateDateTime   time.Time        `json:"createDateTime,omitzero"`
	UpdateDateTime   time.Time        `json:"updateDateTime,omitzero"`

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// CustomProperty is a property that the organization gives its accounts.
type CustomProperty struct {
	Label string       `json:"label,omitzero"`
	Name  string       `json:"name,omitzero"`
	Type  PropertyType `json:"type,omitzero"`
	Value any          `json:"value,omitzero"` // numbers from the API are json.Number; instants are sent as milliseconds

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// PropertyType is the type of a custom property. The API may know more values than this package.
type PropertyType string

// The known types of custom properties.
const (
	PropertyTypeString     PropertyType = "STRING"
	PropertyTypeEmail      PropertyType = "EMAIL"
	PropertyTypeNumber     PropertyType = "NUMBER"
	PropertyTypeTeamMember PropertyType = "TEAMMEMBER"
	PropertyTypeEnum       PropertyType = "ENUM"
	PropertyTypeEnumArray  PropertyType = "ENUMARRAY"
	PropertyTypeDate       PropertyType = "DATE"
	PropertyTypeDateTime   PropertyType = "DATETIME"
	PropertyTypeLatLon     PropertyType = "LATLON"
	PropertyTypeLat        PropertyType = "LAT"
	PropertyTypeLon        PropertyType = "LON"
	PropertyTypePhone      PropertyType = "PHONE"
	PropertyTypeURL        PropertyType = "URL"
)

// IsKnown reports whether this package has a constant for the type.
func (t PropertyType) IsKnown() bool {
	switch t {
	case PropertyTypeString, PropertyTypeEmail, PropertyTypeNumber, PropertyTypeTeamMember, PropertyTypeEnum,
		PropertyTypeEnumArray, PropertyTypeDate, PropertyTypeDateTime, PropertyTypeLatLon, PropertyTypeLat,
		PropertyTypeLon, PropertyTypePhone, PropertyTypeURL:
		return true
	}
	return false
}

// AccountCreateRequest is the body of POST accounts/create. Zero fields are not sent. OwnerID is required.
type AccountCreateRequest struct {
	CustomProperties []CustomProperty `json:"customProperties,omitempty"`
	Domain           string           `json:"domain,omitzero"`
	Name             string           `json:"name,omitzero"`
	OwnerID          drift.UserID     `json:"ownerId,omitzero"`
	Targeted         *bool            `json:"targeted,omitzero"`
}

// AccountUpdateRequest is the body of PATCH accounts/update. Zero fields stay unchanged, except that OwnerID is
// required each time.
type AccountUpdateRequest struct {
	CustomProperties drift.Optional[[]CustomProperty] `json:"customProperties,omitzero"`
	Domain           drift.Optional[string]           `json:"domain,omitzero"`
	Name             drift.Optional[string]           `json:"name,omitzero"`
	OwnerID          drift.UserID                     `json:"ownerId,omitzero"`
	Targeted         drift.Optional[bool]             `json:"targeted,omitzero"`
}

// accountUpdateBody adds the id, which this operation has in the body.
type accountUpdateBody struct {
	AccountUpdateRequest
	AccountID AccountID `json:"accountId"`
}

func checkAccountID(id AccountID) error {
	return checkTexts("accountId", []string{string(id)})
}

// AccountListOptions are the options of GET accounts.
type AccountListOptions struct {
	Limit  int    // accounts per page, 1 to 65; 0: 65
	Cursor string // where to start: [drift.Page.Next] or [drift.PageError.Cursor]; "": at the beginning
}

func (o AccountListOptions) input() rest.Input {
	return rest.Input{At: "accounts", Paging: &accountPaging, Limit: o.Limit, Cursor: o.Cursor}
}

// accountPaging has the index of the next page in the query of data.next, a relative URL. Of the largest size some
// sources say 65 and others 100 (confidence C).
var accountPaging = rest.Paging{
	Limit: "size", Max: 65,
	Seek: func(query url.Values, cursor string) error {
		if cursor != "" {
			query.Set("index", cursor)
		}
		return nil
	},
	Next: func(a *rest.Around) (string, error) {
		var around struct {
			Next string `json:"next"`
		}
		if a.Object == nil {
			return "", nil
		}
		if err := a.Object.Decode(&around); err != nil || around.Next == "" {
			return "", err
		}
		if _, err := strconv.ParseInt(around.Next, 10, 64); err == nil && !strings.Contains(around.Next, "?") {
			return around.Next, nil
		}
		index := wire.QueryValue(around.Next, "index")
		if index == "" {
			return "", wire.Below("/next", wire.ErrNoCursor)
		}
		return index, nil
	},
}

var (
	accountsCreate = rest.Route{Name: "classic.accounts.create", Method: http.MethodPost, Path: "accounts/create"}
	accountsGet    = rest.Route{Name: "classic.accounts.get", Method: http.MethodGet, Path: "accounts/{accountId}"}
	accountsList   = rest.Route{Name: "classic.accounts.list", Method: http.MethodGet, Path: "accounts"}
	accountsUpdate = rest.Route{Name: "classic.accounts.update", Method: http.MethodPatch, Path: "accounts/update"}
	accountsDelete = rest.Route{Name: "classic.accounts.delete", Method: http.MethodDelete, Path: "accounts/{accountId}"}
)

type accounts struct{ *caller }

func (s accounts) Create(
	ctx context.Context, req AccountCreateRequest, opts ...drift.CallOption,
) (*Account, error) {
	return rest.One[Account](ctx, s.caller, &accountsCreate,
		rest.Input{Body: &req, Err: firstError(required("ownerId", req.OwnerID), checkUTF8(&req))}, opts)
}

func (s accounts) Get(ctx context.Context, id AccountID, opts ...drift.CallOption) (*Account, error) {
	return rest.One[Account](ctx, s.caller, &accountsGet, rest.Input{Path: rest.Path{rest.OwnText(id)}}, opts)
}

func (s accounts) List(
	ctx context.Context, options AccountListOptions, opts ...drift.CallOption,
) (*drift.Page[Account], error) {
	page, err := rest.List[Account](ctx, s.caller, &accountsList, options.input(), opts)
	return (*drift.Page[Account])(page), err
}

func (s accounts) All(
	ctx context.Context, options AccountListOptions, opts ...drift.CallOption,
) iter.Seq2[*Account, error] {
	return rest.All[Account](ctx, s.caller, &accountsList, options.input(), opts)
}

func (s accounts) Update(
	ctx context.Context, id AccountID, req AccountUpdateRequest, opts ...drift.CallOption,
) (*Account, error) {
	return rest.One[Account](ctx, s.caller, &accountsUpdate, rest.Input{
		Body:   &accountUpdateBody{req, id},
		Err:    firstError(checkAccountID(id), required("ownerId", req.OwnerID), checkUTF8(&req)),
		Echoes: []rest.Field{{Name: "accountId", Value: id.String()}},
	}, opts)
}

func (s accounts) Delete(ctx context.Context, id AccountID, opts ...drift.CallOption) error {
	return rest.OK(ctx, s.caller, &accountsDelete, rest.Input{Path: rest.Path{rest.Text(id)}}, opts)
}

// UnmarshalJSON decodes an account as sent by the API or encoded by MarshalJSON.
func (a *Account) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, a) }

// MarshalJSON encodes the account with the API's names and units, Extra included.
func (a Account) MarshalJSON() ([]byte, error) {
	type fields Account
	return wire.Marshal(fields(a))
}

// UnmarshalJSON decodes a property as sent by the API or encoded by MarshalJSON.
func (p *CustomProperty) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, p) }

// MarshalJSON encodes the property with the API's names and units, Extra included.
func (p CustomProperty) MarshalJSON() ([]byte, error) {
	type fields CustomProperty
	return wire.Marshal(fields(p))
}
