package classic

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/rest"
	"github.com/driftsdk/drift/internal/wire"
)

// TeamsService reads the teams of the organization. No source says which scope the calls need; user_read is likely
// (confidence D).
//
// The interface may grow in minor versions: embed it in a fake, or declare an interface of the methods that you use.
type TeamsService interface {
	// List returns all teams: GET teams/org.
	List(ctx context.Context, opts ...drift.CallOption) ([]*Team, error)

	// ListByUser returns the teams of a user: GET teams/users/{userId}. The operation has confidence C.
	ListByUser(ctx context.Context, userID drift.UserID, opts ...drift.CallOption) ([]*Team, error)
}

// Team is a group of users. All fields but ID may be missing.
type Team struct {
	ID                   drift.TeamID         `json:"id" wire:"id"`
	OrgID                drift.OrgID          `json:"orgId,omitzero"`
	WorkspaceID          string               `json:"workspaceId,omitzero"` // a UUID
	Name                 string               `json:"name,omitzero"`
	Owner                drift.UserID         `json:"owner,omitzero"`
	Members              []drift.UserID       `json:"members,omitzero"`
	Status               TeamStatus           `json:"status,omitzero"`
	Main                 bool                 `json:"main,omitzero"`
	AutoOffline          bool                 `json:"autoOffline,omitzero"`
	ResponseTimerEnabled bool                 `json:"responseTimerEnabled,omitzero"`
	TeamCSATEnabled      bool                 `json:"teamCsatEnabled,omitzero"` // confidence C
	TeamAvailabilityMode TeamAvailabilityMode `json:"teamAvailabilityMode,omitzero"`
	UpdatedAt            time.Time            `json:"updatedAt,omitzero"`

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// TeamStatus says whether a team is in use. The API may know more values than this package.
type TeamStatus string

// The known statuses of teams.
const (
	TeamStatusEnabled  TeamStatus = "ENABLED"
	TeamStatusArchived TeamStatus = "ARCHIVED"
)

// IsKnown reports whether this package has a constant for the status.
func (s TeamStatus) IsKnown() bool { return s == TeamStatusEnabled || s == TeamStatusArchived }

// TeamAvailabilityMode says when a team is online. The API may know more values than this package.
type TeamAvailabilityMode string

// The known modes.
const (
	TeamAvailabilityModeAlwaysOnline  TeamAvailabilityMode = "ALWAYS_ONLINE"
	TeamAvailabilityModeAlwaysOffline TeamAvailabilityMode = "ALWAYS_OFFLINE"
	TeamAvailabilityModeCustomHours   TeamAvailabilityMode = "CUSTOM_HOURS"
)

// IsKnown reports whether this package has a constant for the mode.
func (m TeamAvailabilityMode) IsKnown() bool {
	switch m {
	case TeamAvailabilityModeAlwaysOnline, TeamAvailabilityModeAlwaysOffline, TeamAvailabilityModeCustomHours:
		return true
	}
	return false
}

var (
	teamsList       = rest.Route{Name: "classic.teams.list", Method: http.MethodGet, Path: "teams/org"}
	teamsListByUser = rest.Route{Name: "classic.teams.listByUser", Method: http.MethodGet, Path: "teams/users/{userId}"}
)

type teams struct{ *caller }

func (s teams) List(ctx context.Context, opts ...drift.CallOption) ([]*Team, error) {
	return rest.Items[Team](ctx, s.caller, &teamsList, rest.Input{}, opts)
}

func (s teams) ListByUser(ctx context.Context, userID drift.UserID, opts ...drift.CallOption) ([]*Team, error) {
	return rest.Items[Team](ctx, s.caller, &teamsListByUser, rest.Input{Path: rest.Path{rest.ID(userID)}}, opts)
}

// UnmarshalJSON decodes a team as sent by the API or encoded by MarshalJSON.
func (t *Team) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, t) }

// MarshalJSON encodes the team with the API's names and units, Extra included.
func (t Team) MarshalJSON() ([]byte, error) {
	type fields Team
	return wire.Marshal(fields(t))
}
