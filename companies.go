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

// CompaniesService lists the people and teams of a company.
//
// The interface may grow in minor versions: embed it in a fake, or declare an interface of the methods that you use.
type CompaniesService interface {
	// ListPeople returns one page of a company's people: GET v2/companies/{companyId}/people.
	ListPeople(
		ctx context.Context, companyID CompanyID, options CompanyListPeopleOptions, opts ...CallOption,
	) (*Page[Person], error)

	// AllPeople ranges over a company's people, page by page; see Collect, PageError and
	// RecordError.
	AllPeople(
		ctx context.Context, companyID CompanyID, options CompanyListPeopleOptions, opts ...CallOption,
	) iter.Seq2[*Person, error]

	// ListTeams returns one page of a company's teams: GET v2/companies/{companyId}/teams.
	ListTeams(
		ctx context.Context, companyID CompanyID, options CompanyListTeamsOptions, opts ...CallOption,
	) (*Page[Team], error)

	// AllTeams ranges over a company's teams, page by page; see Collect, PageError and RecordError.
	AllTeams(
		ctx context.Context, companyID CompanyID, options CompanyListTeamsOptions, opts ...CallOption,
	) iter.Seq2[*Team, error]
}

// Person is an employee of a company.
type Person struct {
	ID        PersonID  `json:"id" wire:"id"`
	CompanyID CompanyID `json:"company_id,omitzero"`
	Name      string    `json:"name,omitzero"`
	FirstName string    `json:"first_name,omitzero"`
	LastName  string    `json:"last_name,omitzero"`
	Email     string    `json:"email,omitzero"`
	Phone     string    `json:"phone,omitzero"`
	Title     string    `json:"title,omitzero"`

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// Team is a group of users.
type Team struct {
	ID                   TeamID               `json:"id" wire:"id"`
	OrgID                OrgID                `json:"org_id,omitzero"`
	WorkspaceID          string               `json:"workspace_id,omitzero"`
	Name                 string               `json:"name,omitzero"`
	Members              []UserID             `json:"members,omitzero"`
	Owner                UserID               `json:"owner,omitzero"`
	Status               TeamStatus           `json:"status,omitzero"`
	Main                 bool                 `json:"main,omitzero"`
	AutoOffline          bool                 `json:"auto_offline,omitzero"`
	TeamAvailabilityMode TeamAvailabilityMode `json:"team_availability_mode,omitzero"`
	ResponseTimerEnabled bool                 `json:"response_timer_enabled,omitzero"`
	TeamCSATEnabled      bool                 `json:"team_csat_enabled,omitzero"`
	UpdatedAt            time.Time            `json:"updated_at,omitzero"`

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// TeamStatus is the state of a team. The API may know more values than this package.
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

// CompanyListPeopleOptions are the options of GET v2/companies/{companyId}/people. Zero fields do not filter.
type CompanyListPeopleOptions struct {
	Scope  string `query:"scope"`
	Search string `query:"search"`

	Limit  int    // items per page, 1 to 100; 0: 100
	Cursor string // where to start: Page.Next or PageError.Cursor; "": at the beginning
}

func (o CompanyListPeopleOptions) page() paging { return paging{o.Limit, o.Cursor} }

// CompanyListTeamsOptions are the options of GET v2/companies/{companyId}/teams. Zero fields do not filter.
type CompanyListTeamsOptions struct {
	Scope  string `query:"scope"`
	Search string `query:"search"`

	Limit  int    // items per page, 1 to 100; 0: 100
	Cursor string // where to start: Page.Next or PageError.Cursor; "": at the beginning
}

func (o CompanyListTeamsOptions) page() paging { return paging{o.Limit, o.Cursor} }

var (
	companiesListPeople = rest.Route{Name: "companies.listPeople", Method: http.MethodGet, Path: "v2/companies/{companyId}/people"}
	companiesListTeams  = rest.Route{Name: "companies.listTeams", Method: http.MethodGet, Path: "v2/companies/{companyId}/teams"}
)

type companies struct{ *caller }

func (s companies) ListPeople(
	ctx context.Context, companyID CompanyID, options CompanyListPeopleOptions, opts ...CallOption,
) (*Page[Person], error) {
	return list[Person](ctx, s.caller, &companiesListPeople,
		rest.Input{Path: rest.Path{rest.Text(companyID)}, Query: options}, opts)
}

func (s companies) AllPeople(
	ctx context.Context, companyID CompanyID, options CompanyListPeopleOptions, opts ...CallOption,
) iter.Seq2[*Person, error] {
	return all[Person](ctx, s.caller, &companiesListPeople,
		rest.Input{Path: rest.Path{rest.Text(companyID)}, Query: options}, opts)
}

func (s companies) ListTeams(
	ctx context.Context, companyID CompanyID, options CompanyListTeamsOptions, opts ...CallOption,
) (*Page[Team], error) {
	return list[Team](ctx, s.caller, &companiesListTeams,
		rest.Input{Path: rest.Path{rest.Text(companyID)}, Query: options}, opts)
}

func (s companies) AllTeams(
	ctx context.Context, companyID CompanyID, options CompanyListTeamsOptions, opts ...CallOption,
) iter.Seq2[*Team, error] {
	return all[Team](ctx, s.caller, &companiesListTeams,
		rest.Input{Path: rest.Path{rest.Text(companyID)}, Query: options}, opts)
}

// UnmarshalJSON decodes a person as sent by the API or encoded by MarshalJSON.
func (p *Person) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, p) }

// MarshalJSON encodes the person with the API's names, Extra included.
func (p Person) MarshalJSON() ([]byte, error) {
	type fields Person
	return wire.Marshal(fields(p))
}

// UnmarshalJSON decodes a team as sent by the API or encoded by MarshalJSON.
func (t *Team) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, t) }

// MarshalJSON encodes the team with the API's names and units, Extra included.
func (t Team) MarshalJSON() ([]byte, error) {
	type fields Team
	return wire.Marshal(fields(t))
}
