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

// PlaybooksService reads the playbooks that start conversations. The calls need the scope playbook_read.
//
// The interface may grow in minor versions: embed it in a fake, or declare an interface of the methods that you use.
type PlaybooksService interface {
	// List returns the active playbooks: GET playbooks/list. The service caches the answer for about ten minutes.
	List(ctx context.Context, opts ...drift.CallOption) ([]*Playbook, error)

	// ListLandingPages returns the conversational landing pages: GET playbooks/clp.
	ListLandingPages(ctx context.Context, opts ...drift.CallOption) ([]*LandingPage, error)
}

// Playbook is an active playbook.
type Playbook struct {
	ID              drift.PlaybookID `json:"id" wire:"id"`
	Name            string           `json:"name,omitzero"`
	OrgID           drift.OrgID      `json:"orgId,omitzero"`
	InteractionID   InteractionID    `json:"interactionId,omitzero"` // for the widget's startInteraction
	ReportType      string           `json:"reportType,omitzero"`    // such as BOOK_MORE_MEETINGS
	Goals           []Goal           `json:"goals,omitzero"`
	Meta            drift.Attributes `json:"meta,omitzero"`
	CreatedAuthorID drift.UserID     `json:"createdAuthorId,omitzero"`
	UpdatedAuthorID drift.UserID     `json:"updatedAuthorId,omitzero"`
	CreatedAt       time.Time        `json:"createdAt,omitzero"`
	UpdatedAt       time.Time        `json:"updatedAt,omitzero"`

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// Goal is a goal of a playbook.
type Goal struct {
	ID      string `json:"id,omitzero"` // a UUID
	Message string `json:"message,omitzero"`

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// LandingPage is the page of a playbook.
type LandingPage struct {
	PlaybookID     drift.PlaybookID `json:"playbookId,omitzero"`
	PlaybookName   string           `json:"playbookName,omitzero"`
	LandingPageURL string           `json:"landingPageUrl,omitzero"`

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

var (
	playbooksList             = rest.Route{Name: "classic.playbooks.list", Method: http.MethodGet, Path: "playbooks/list"}
	playbooksListLandingPages = rest.Route{Name: "classic.playbooks.listLandingPages", Method: http.MethodGet, Path: "playbooks/clp"}
)

type playbooks struct{ *caller }

func (s playbooks) List(ctx context.Context, opts ...drift.CallOption) ([]*Playbook, error) {
	return rest.Items[Playbook](ctx, s.caller, &playbooksList, rest.Input{}, opts)
}

func (s playbooks) ListLandingPages(ctx context.Context, opts ...drift.CallOption) ([]*LandingPage, error) {
	return rest.Items[LandingPage](ctx, s.caller, &playbooksListLandingPages, rest.Input{}, opts)
}

// UnmarshalJSON decodes a playbook as sent by the API or encoded by MarshalJSON.
func (p *Playbook) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, p) }

// MarshalJSON encodes the playbook with the API's names and units, Extra included.
func (p Playbook) MarshalJSON() ([]byte, error) {
	type fields Playbook
	return wire.Marshal(fields(p))
}

// UnmarshalJSON decodes a goal as sent by the API or encoded by MarshalJSON.
func (g *Goal) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, g) }

// MarshalJSON encodes the goal with the API's names, Extra included.
func (g Goal) MarshalJSON() ([]byte, error) {
	type fields Goal
	return wire.Marshal(fields(g))
}

// UnmarshalJSON decodes a page as sent by the API or encoded by MarshalJSON.
func (p *LandingPage) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, p) }

// MarshalJSON encodes the page with the API's names, Extra included.
func (p LandingPage) MarshalJSON() ([]byte, error) {
	type fields LandingPage
	return wire.Marshal(fields(p))
}
