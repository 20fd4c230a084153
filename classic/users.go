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

// UsersService reads and updates the users of the organization, who answer contacts. The calls need the scopes
// user_read and user_write. To create or remove users, use [SCIMService].
//
// The interface may grow in minor versions: embed it in a fake, or declare an interface of the methods that you use.
type UsersService interface {
	// List returns all users, bots included: GET users/list.
	List(ctx context.Context, opts ...drift.CallOption) ([]*User, error)

	// Get returns a user: GET users/{userId}. If it does not exist, the error matches
	// drift.ErrNotFound.
	Get(ctx context.Context, id drift.UserID, opts ...drift.CallOption) (*User, error)

	// GetMany returns 1 to 20 users by id: GET users. Ids that do not exist are missing in the map.
	// If a user does not decode, the others are in the map, and drift.RecordErrors splits the
	// error.
	GetMany(ctx context.Context, ids []drift.UserID, opts ...drift.CallOption) (map[drift.UserID]*User, error)

	// Update changes the fields that are set: PATCH users/update. A request that sets no field, or
	// clears one, is a *drift.ValidationError.
	Update(ctx context.Context, id drift.UserID, req UserUpdateRequest, opts ...drift.CallOption) (*User, error)
}

// User is a member of the organization, or a bot. All fields but ID may be missing.
type User struct {
	ID           drift.UserID `json:"id" wire:"id"`
	OrgID        drift.OrgID  `json:"orgId,omitzero"`
	Name         string       `json:"name,omitzero"`
	Alias        string       `json:"alias,omitzero"`
	Email        string       `json:"email,omitzero"`
	Phone        string       `json:"phone,omitzero"`
	Locale       string       `json:"locale,omitzero"`
	TimeZone     string       `json:"timeZone,omitzero"`
	AvatarURL    string       `json:"avatarUrl,omitzero"`
	Availability Availability `json:"availability,omitzero"`
	Role         UserRole     `json:"role,omitzero"`
	Verified     bool         `json:"verified,omitzero"`
	Bot          bool         `json:"bot,omitzero"`
	CreatedAt    time.Time    `json:"createdAt,omitzero"`
	UpdatedAt    time.Time    `json:"updatedAt,omitzero"`

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// Availability says whether a user takes conversations. The API may know more values than this package. Only AVAILABLE
// and OFFLINE can be set.
type Availability string

// The known availabilities.
const (
	AvailabilityAvailable Availability = "AVAILABLE"
	AvailabilityOffline   Availability = "OFFLINE"
	AvailabilityOnCall    Availability = "ON_CALL"
	AvailabilityOnline    Availability = "ONLINE"
)

// IsKnown reports whether this package has a constant for the availability.
func (a Availability) IsKnown() bool {
	switch a {
	case AvailabilityAvailable, AvailabilityOffline, AvailabilityOnCall, AvailabilityOnline:
		return true
	}
	return false
}

// UserRole is what a user may do. The API may know more values than this package.
type UserRole string

// The known roles.
const (
	UserRoleMember UserRole = "member"
	UserRoleAdmin  UserRole = "admin"
	UserRoleAgent  UserRole = "agent"
)

// IsKnown reports whether this package has a constant for the role.
func (r UserRole) IsKnown() bool {
	return r == UserRoleMember || r == UserRoleAdmin || r == UserRoleAgent
}

// UserUpdateRequest is the body of PATCH users/update. Zero fields stay unchanged. Whether a field can be cleared is
// unknown (confidence D), so [drift.Null] is rejected.
type UserUpdateRequest struct {
	Alias        drift.Optional[string] `json:"alias,omitzero"`
	Availability drift.Optional[string] `json:"availability,omitzero"` // AVAILABLE or OFFLINE
	AvatarURL    drift.Optional[string] `json:"avatarUrl,omitzero"`
	Email        drift.Optional[string] `json:"email,omitzero"`
	Locale       drift.Optional[string] `json:"locale,omitzero"` // such as en-US
	Name         drift.Optional[string] `json:"name,omitzero"`
	Phone        drift.Optional[string] `json:"phone,omitzero"` // such as 555-123-4567
}

const (
	errNull         = wire.Reason("must not be null")
	errAvailability = wire.Reason("must be AVAILABLE or OFFLINE")
)

func (r UserUpdateRequest) check() error {
	for name, field := range map[string]drift.Optional[string]{
		"alias": r.Alias, "availability": r.Availability, "avatarUrl": r.AvatarURL, "email": r.Email,
		"locale": r.Locale, "name": r.Name, "phone": r.Phone,
	} {
		if field.IsNull() {
			return invalid(name, errNull)
		}
	}
	availability, set := r.Availability.Get()
	if set && availability != string(AvailabilityAvailable) && availability != string(AvailabilityOffline) {
		return invalid("availability", errAvailability)
	}
	return nil
}

var (
	usersList    = rest.Route{Name: "classic.users.list", Method: http.MethodGet, Path: "users/list"}
	usersGet     = rest.Route{Name: "classic.users.get", Method: http.MethodGet, Path: "users/{userId}"}
	usersGetMany = rest.Route{Name: "classic.users.getMany", Method: http.MethodGet, Path: "users"}
	usersUpdate  = rest.Route{Name: "classic.users.update", Method: http.MethodPatch, Path: "users/update"}
)

type users struct{ *caller }

func (s users) List(ctx context.Context, opts ...drift.CallOption) ([]*User, error) {
	return rest.Items[User](ctx, s.caller, &usersList, rest.Input{}, opts)
}

func (s users) Get(ctx context.Context, id drift.UserID, opts ...drift.CallOption) (*User, error) {
	return rest.One[User](ctx, s.caller, &usersGet, rest.Input{Path: rest.Path{rest.OwnID(id)}}, opts)
}

// maxUsers is how many users one call returns.
const maxUsers = 20

const errManyUsers = wire.Reason("must be 1 to 20 ids")

func (s users) GetMany(
	ctx context.Context, ids []drift.UserID, opts ...drift.CallOption,
) (map[drift.UserID]*User, error) {
	query, err := userQuery(ids...)
	if len(ids) == 0 || len(ids) > maxUsers {
		err = invalid("ids", errManyUsers)
	}
	items, err := rest.Items[User](ctx, s.caller, &usersGetMany, rest.Input{Query: query, Err: err, Keyed: true}, opts)
	if err != nil && drift.RecordErrors(err) == nil {
		return nil, err
	}
	found := make(map[drift.UserID]*User, len(items))
	for _, user := range items {
		found[user.ID] = user
	}
	return found, err
}

func userQuery(ids ...drift.UserID) (query url.Values, err error) {
	query = url.Values{}
	for _, id := range ids {
		query.Add("userId", id.String())
		err = firstError(err, required("userId", id))
	}
	return query, err
}

func (s users) Update(
	ctx context.Context, id drift.UserID, req UserUpdateRequest, opts ...drift.CallOption,
) (*User, error) {
	query, err := userQuery(id)
	return rest.One[User](ctx, s.caller, &usersUpdate, rest.Input{
		Query: query, Body: &req, Err: firstError(err, req.check()),
		Echoes: []rest.Field{{Name: "id", Value: id.String()}},
	}, opts)
}

// UnmarshalJSON decodes a user as sent by the API or encoded by MarshalJSON.
func (u *User) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, u) }

// MarshalJSON encodes the user with the API's names and units, Extra included.
func (u User) MarshalJSON() ([]byte, error) {
	type fields User
	return wire.Marshal(fields(u))
}
