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

// MeetingsService books, moves and lists meetings.
//
// The interface may grow in minor versions: embed it in a fake, or declare an interface of the methods that you use.
type MeetingsService interface {
	// Get returns a meeting: GET v2/meetings/{meetingId}. If it does not exist, the error matches [ErrNotFound].
	Get(ctx context.Context, id MeetingID, opts ...CallOption) (*Meeting, error)

	// Create books a meeting: POST v2/meetings. A duration that is negative or not a whole number of minutes is a
	// [*ValidationError].
	Create(ctx context.Context, req MeetingCreateRequest, opts ...CallOption) (*Meeting, error)

	// Update changes the fields that are set: PATCH v2/meetings/{meetingId}. A request that sets no field, or a
	// duration that is not a positive whole number of minutes, is a [*ValidationError].
	Update(ctx context.Context, id MeetingID, req MeetingUpdateRequest, opts ...CallOption) (*Meeting, error)

	// Delete cancels a meeting: DELETE v2/meetings/{meetingId}.
	Delete(ctx context.Context, id MeetingID, opts ...CallOption) error

	// List returns one page of the meetings that match the options: GET v2/meetings.
	List(ctx context.Context, options MeetingListOptions, opts ...CallOption) (*Page[Meeting], error)

	// All ranges over every meeting that matches the options, page by page; see [Collect], [PageError] and
	// [RecordError].
	All(ctx context.Context, options MeetingListOptions, opts ...CallOption) iter.Seq2[*Meeting, error]

	// AddParticipant adds a participant to a meeting: POST v2/meetings/{meetingId}/participants. An address without "@"
	// is a [*ValidationError].
	AddParticipant(
		ctx context.Context, id MeetingID, req MeetingAddParticipantRequest, opts ...CallOption,
	) (*Participant, error)
}

// Meeting is an appointment.
type Meeting struct {
	ID             MeetingID       `json:"id" wire:"id"`
	ConversationID ConversationID  `json:"conversation_id,omitzero"`
	Subject        string          `json:"subject,omitzero"`
	Location       string          `json:"location,omitzero"`
	Notes          string          `json:"notes,omitzero"`
	Direction      Direction       `json:"direction,omitzero"`
	EventType      string          `json:"event_type,omitzero"`
	Duration       time.Duration   `json:"duration,omitzero"` // whole minutes
	StartAt        time.Time       `json:"start_at,omitzero"`
	EndedAt        time.Time       `json:"ended_at,omitzero"`
	InProgress     bool            `json:"in_progress,omitzero"`
	ParticipantIDs []ParticipantID `json:"participant_ids,omitzero"`
	Participants   []Participant   `json:"participants,omitzero"`
	CreatedBy      UserID          `json:"created_by,omitzero"`
	UpdatedBy      UserID          `json:"updated_by,omitzero"`
	CreatedAt      time.Time       `json:"created_at,omitzero"`
	UpdatedAt      time.Time       `json:"updated_at,omitzero"`

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// Participant is a participant of a meeting.
type Participant struct {
	ID        ParticipantID `json:"id,omitzero" wire:"id"` // 0 in a Meeting that lists its participants without ids
	MeetingID MeetingID     `json:"meeting_id,omitzero"`
	Email     string        `json:"email,omitzero"`
	FirstName string        `json:"first_name,omitzero"`
	LastName  string        `json:"last_name,omitzero"`

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// MeetingCreateRequest is the body of POST v2/meetings. Zero fields are not sent.
type MeetingCreateRequest struct {
	ConversationID ConversationID `json:"conversation_id,omitzero"`
	CreatedBy      UserID         `json:"created_by,omitzero"`
	Duration       time.Duration  `json:"duration,omitzero"` // whole minutes
	StartAt        time.Time      `json:"start_at,omitzero"`
	UpdatedBy      UserID         `json:"updated_by,omitzero"`
}

// meetingCreateBody has no MarshalJSON, so that the encoder checks its fields.
type meetingCreateBody MeetingCreateRequest

// MeetingUpdateRequest is the body of PATCH v2/meetings/{meetingId}. Zero fields stay unchanged.
type MeetingUpdateRequest struct {
	ConversationID Optional[ConversationID]  `json:"conversation_id,omitzero"`
	Duration       Optional[time.Duration]   `json:"duration,omitzero"` // whole minutes
	EndedAt        Optional[time.Time]       `json:"ended_at,omitzero"`
	Location       Optional[string]          `json:"location,omitzero"`
	Notes          Optional[string]          `json:"notes,omitzero"`
	ParticipantIDs Optional[[]ParticipantID] `json:"participant_ids,omitzero"`
	StartAt        Optional[time.Time]       `json:"start_at,omitzero"`
	Subject        Optional[string]          `json:"subject,omitzero"`
	UpdatedBy      Optional[UserID]          `json:"updated_by,omitzero"`
}

// MeetingAddParticipantRequest is the body of POST v2/meetings/{meetingId}/participants. Email is required. Other zero
// fields are not sent.
type MeetingAddParticipantRequest struct {
	Email     string `json:"email,omitzero"`
	FirstName string `json:"first_name,omitzero"`
	LastName  string `json:"last_name,omitzero"`
}

// MeetingListOptions are the options of GET v2/meetings. Zero fields do not filter.
type MeetingListOptions struct {
	CreatedAfter      time.Time       `query:"created_after"`
	CreatedBefore     time.Time       `query:"created_before"`
	CreatedBy         UserID          `query:"created_by"`
	Direction         Direction       `query:"direction"`
	Duration          time.Duration   `query:"duration"` // whole minutes
	EndedAt           time.Time       `query:"ended_at"`
	EventType         string          `query:"event_type"`
	ID                MeetingID       `query:"id"`
	InProgress        *bool           `query:"in_progress"`
	Location          string          `query:"location"`
	Notes             string          `query:"notes"`
	ParticipantIDs    []ParticipantID `query:"participant_ids"`
	Participants      []string        `query:"participants"` // names or addresses
	StartAfter        time.Time       `query:"start_after"`
	StartBefore       time.Time       `query:"start_before"`
	StartAt           time.Time       `query:"start_at"`
	Subject           string          `query:"subject"`
	UpdatedBy         UserID          `query:"updated_by"`
	UpdatedSince      time.Time       `query:"updated_since"`
	UsePreciseFilters *bool           `query:"use_precise_filters"`

	Limit  int    // items per page, 1 to 100; 0: 100
	Cursor string // where to start: [Page.Next] or [PageError.Cursor]; "": at the beginning
}

func (o MeetingListOptions) page() paging { return paging{o.Limit, o.Cursor} }

var (
	meetingsGet            = rest.Route{Name: "meetings.get", Method: http.MethodGet, Path: "v2/meetings/{meetingId}"}
	meetingsCreate         = rest.Route{Name: "meetings.create", Method: http.MethodPost, Path: "v2/meetings"}
	meetingsUpdate         = rest.Route{Name: "meetings.update", Method: http.MethodPatch, Path: "v2/meetings/{meetingId}"}
	meetingsDelete         = rest.Route{Name: "meetings.delete", Method: http.MethodDelete, Path: "v2/meetings/{meetingId}"}
	meetingsList           = rest.Route{Name: "meetings.list", Method: http.MethodGet, Path: "v2/meetings"}
	meetingsAddParticipant = rest.Route{Name: "meetings.addParticipant", Method: http.MethodPost, Path: "v2/meetings/{meetingId}/participants"}
)

type meetings struct{ *caller }

func (s meetings) Get(ctx context.Context, id MeetingID, opts ...CallOption) (*Meeting, error) {
	return rest.One[Meeting](ctx, s.caller, &meetingsGet, rest.Input{Path: rest.Path{rest.OwnID(id)}}, opts)
}

func (s meetings) Create(ctx context.Context, req MeetingCreateRequest, opts ...CallOption) (*Meeting, error) {
	return rest.One[Meeting](ctx, s.caller, &meetingsCreate, rest.Input{Body: (*meetingCreateBody)(&req)}, opts)
}

func (s meetings) Update(
	ctx context.Context, id MeetingID, req MeetingUpdateRequest, opts ...CallOption,
) (*Meeting, error) {
	return rest.One[Meeting](ctx, s.caller, &meetingsUpdate,
		rest.Input{Path: rest.Path{rest.OwnID(id)}, Body: &req}, opts)
}

func (s meetings) Delete(ctx context.Context, id MeetingID, opts ...CallOption) error {
	return rest.None(ctx, s.caller, &meetingsDelete, rest.Input{Path: rest.Path{rest.ID(id)}}, opts)
}

func (s meetings) List(ctx context.Context, options MeetingListOptions, opts ...CallOption) (*Page[Meeting], error) {
	return list[Meeting](ctx, s.caller, &meetingsList, rest.Input{Query: options}, opts)
}

func (s meetings) All(ctx context.Context, options MeetingListOptions, opts ...CallOption) iter.Seq2[*Meeting, error] {
	return all[Meeting](ctx, s.caller, &meetingsList, rest.Input{Query: options}, opts)
}

func (s meetings) AddParticipant(
	ctx context.Context, id MeetingID, req MeetingAddParticipantRequest, opts ...CallOption,
) (*Participant, error) {
	return rest.One[Participant](ctx, s.caller, &meetingsAddParticipant,
		rest.Input{Path: rest.Path{rest.ID(id)}, Body: &req, Err: rest.CheckEmail(req.Email)}, opts)
}

// UnmarshalJSON decodes a meeting as sent by the API or encoded by MarshalJSON.
func (m *Meeting) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, m) }

// MarshalJSON encodes the meeting with the API's names and units, Extra included.
func (m Meeting) MarshalJSON() ([]byte, error) {
	type fields Meeting
	return wire.Marshal(fields(m))
}

// UnmarshalJSON decodes a participant as sent by the API or encoded by MarshalJSON.
func (p *Participant) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, p) }

// MarshalJSON encodes the participant with the API's names, Extra included.
func (p Participant) MarshalJSON() ([]byte, error) {
	type fields Participant
	return wire.Marshal(fields(p))
}

// UnmarshalJSON decodes a request encoded by MarshalJSON.
func (r *MeetingCreateRequest) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, r) }

// MarshalJSON encodes the request with the API's names and units.
func (r MeetingCreateRequest) MarshalJSON() ([]byte, error) {
	return wire.Marshal(meetingCreateBody(r))
}
