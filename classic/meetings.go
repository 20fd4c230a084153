package classic

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/rest"
	"github.com/driftsdk/drift/internal/wire"
)

// MeetingsService reads the meetings that contacts have booked with users. The calls need the scope user_read.
//
// The interface may grow in minor versions: embed it in a fake, or declare an interface of the methods that you use.
type MeetingsService interface {
	// List returns the meetings of all users in a time span: GET users/meetings/org. Meetings that began more than 30
	// days ago are never returned, and meetings beyond the limit cannot be reached except with a shorter span.
	List(ctx context.Context, options MeetingListOptions, opts ...drift.CallOption) ([]*Meeting, error)
}

// Meeting is a booked meeting. It has no id of its own; EventID is that of the event in the user's calendar. Any field
// may be missing.
type Meeting struct {
	EventID           string               `json:"eventId,omitzero"`
	AgentID           drift.UserID         `json:"agentId,omitzero"`
	OrgID             drift.OrgID          `json:"orgId,omitzero"`
	SchedulerID       drift.ContactID      `json:"schedulerId,omitzero"` // the contact
	BookedBy          drift.UserID         `json:"bookedBy,omitzero"`
	ConversationID    drift.ConversationID `json:"conversationId,omitzero"`
	Status            string               `json:"status,omitzero"`        // such as ACTIVE
	MeetingSource     string               `json:"meetingSource,omitzero"` // such as EMAIL_DROP
	MeetingType       string               `json:"meetingType,omitzero"`   // such as "New Meeting"
	MeetingNotes      string               `json:"meetingNotes,omitzero"`
	Slug              string               `json:"slug,omitzero"`
	MeetingSlug       string               `json:"meetingSlug,omitzero"`
	EndUserTimeZone   string               `json:"endUserTimeZone,omitzero"`
	ConferenceType    string               `json:"conferenceType,omitzero"`
	ConferenceDetails drift.Attributes     `json:"conferenceDetails,omitzero"` // such as join_url
	IsOrgSlug         bool                 `json:"isOrgSlug,omitzero"`
	IsRecurring       bool                 `json:"isRecurring,omitzero"`
	IsPrivate         bool                 `json:"isPrivate,omitzero"`
	SlotStart         time.Time            `json:"slotStart,omitzero"`
	SlotEnd           time.Time            `json:"slotEnd,omitzero"`
	ScheduledAt       time.Time            `json:"scheduledAt,omitzero"`
	UpdatedAt         time.Time            `json:"updatedAt,omitzero"`

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// MeetingListOptions are the options of GET users/meetings/org. To is required.
type MeetingListOptions struct {
	From  time.Time // zero: as far back as meetings are kept
	To    time.Time
	Limit int // meetings, 1 to 1000; 0: 1000
}

const errBeforeFrom = wire.Reason("must be after From")

// query names the span in snake_case, unlike the rest of the API.
func (o MeetingListOptions) query() (url.Values, error) {
	from := int64(0)
	if !o.From.IsZero() {
		from = max(0, o.From.UnixMilli())
	}
	switch {
	case o.To.IsZero():
		return nil, invalid("To", errRequired)
	case o.To.UnixMilli() < from:
		return nil, invalid("To", errBeforeFrom)
	}
	return url.Values{
		"min_start_time": {strconv.FormatInt(from, 10)},
		"max_start_time": {strconv.FormatInt(o.To.UnixMilli(), 10)},
	}, nil
}

var meetingsList = rest.Route{Name: "classic.meetings.list", Method: http.MethodGet, Path: "users/meetings/org"}

// meetingPaging has a limit only. Its largest value has confidence C.
var meetingPaging = rest.Paging{Limit: "limit", Max: 1000}

type meetings struct{ *caller }

func (s meetings) List(
	ctx context.Context, options MeetingListOptions, opts ...drift.CallOption,
) ([]*Meeting, error) {
	query, invalid := options.query()
	return rest.Items[Meeting](ctx, s.caller, &meetingsList,
		rest.Input{Query: query, Err: invalid, Paging: &meetingPaging, Limit: options.Limit}, opts)
}

// UnmarshalJSON decodes a meeting as sent by the API or encoded by MarshalJSON.
func (m *Meeting) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, m) }

// MarshalJSON encodes the meeting with the API's names and units, Extra included.
func (m Meeting) MarshalJSON() ([]byte, error) {
	type fields Meeting
	return wire.Marshal(fields(m))
}
