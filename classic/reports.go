package classic

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/rest"
	"github.com/driftsdk/drift/internal/wire"
)

// ReportsService reads metrics of conversations. Drift's pages no longer lead to these operations. The calls only read,
// so they are retried like a GET. No source says which scope they need; conversation_read is likely (confidence D).
//
// The interface may grow in minor versions: embed it in a fake, or declare an interface of the methods that you use.
type ReportsService interface {
	// Conversations returns metrics of the conversations that match all filters: POST
	// reports/conversations. No metric, an empty one, or a filter without a property or an
	// operation is a *drift.ValidationError.
	Conversations(ctx context.Context, req ReportRequest, opts ...drift.CallOption) (*Report, error)

	// ConversationSummary returns metrics over all conversations that match all filters: POST
	// reports/conversation-summary. No source shows the answer, so it comes as it is. No metric,
	// one without a property or a type, or a filter without a property or an operation is a
	// *drift.ValidationError.
	ConversationSummary(
		ctx context.Context, req ReportSummaryRequest, opts ...drift.CallOption,
	) (json.RawMessage, error)
}

// ReportRequest is the body of POST reports/conversations.
type ReportRequest struct {
	Filters []ReportFilter `json:"filters,omitempty"`
	Metrics []string       `json:"metrics,omitempty"` // properties that are numbers, such as numAgentMessages
}

// ReportFilter selects conversations by a property, such as createdAt, status or lastAgentId.
type ReportFilter struct {
	Property  string          `json:"property,omitzero"`
	Operation ReportOperation `json:"operation,omitzero"`
	Values    []any           `json:"values,omitempty"` // instants are sent as milliseconds
}

// ReportOperation is how a filter compares. The API may know more values than this package.
type ReportOperation string

// The known operations.
const (
	ReportOperationHasProperty ReportOperation = "HAS_PROPERTY"
	ReportOperationBetween     ReportOperation = "BETWEEN"
	ReportOperationIn          ReportOperation = "IN"
)

// IsKnown reports whether this package has a constant for the operation.
func (o ReportOperation) IsKnown() bool {
	return o == ReportOperationHasProperty || o == ReportOperationBetween || o == ReportOperationIn
}

// Report is the answer to a ReportRequest. An answer without rows is an error, but their list may be empty: an answer of
// another kind must not look like a report without conversations.
type Report struct {
	Count int         `json:"count,omitzero"`
	Rows  []ReportRow `json:"data,omitzero" wire:"required"`

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// ReportRow is a conversation of a report.
type ReportRow struct {
	ConversationID drift.ConversationID `json:"conversationId,omitzero"`
	Metrics        []Metric             `json:"metrics,omitzero"` // in the order of the request

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// Metric is a number of a report, or "" if the conversation has none: the service sends NaN then.
type Metric string

// Float64 returns the number and true, or false if there is none.
func (m Metric) Float64() (float64, bool) {
	number, err := strconv.ParseFloat(string(m), 64)
	return number, err == nil
}

// Int64 returns the number and true, or false if there is none or it is not an integer.
func (m Metric) Int64() (int64, bool) {
	number, err := wire.ParseIntText(string(m))
	return number, err == nil
}

// UnmarshalJSON accepts a number, also in a string. Any other text, such as "NaN", and null are no number.
func (m *Metric) UnmarshalJSON(data []byte) error {
	text, err := wire.ParseText(data)
	if !isNumber(text) {
		text = ""
	}
	*m = Metric(text)
	return err
}

// MarshalJSON encodes the number, or null if there is none.
func (m Metric) MarshalJSON() ([]byte, error) {
	if !isNumber(string(m)) {
		return []byte("null"), nil
	}
	return []byte(m), nil
}

// isNumber reports whether a text is a number in JSON.
func isNumber(text string) bool {
	var number json.Number
	return text != "" && text[0] != '"' && json.Unmarshal([]byte(text), &number) == nil && number.String() == text
}

// ReportSummaryRequest is the body of POST reports/conversation-summary.
type ReportSummaryRequest struct {
	Filters []ReportFilter        `json:"filters,omitempty"`
	Metrics []ReportSummaryMetric `json:"metrics,omitempty"`
}

// ReportSummaryMetric is a number over all conversations of a summary.
type ReportSummaryMetric struct {
	Property string `json:"property,omitzero"`
	Type     string `json:"type,omitzero"` // such as AVG
}

func (r ReportRequest) check() error {
	return firstError(checkTexts("metrics", r.Metrics), checkFilters(r.Filters), checkUTF8(&r))
}

func (r ReportSummaryRequest) check() error {
	if len(r.Metrics) == 0 {
		return invalid("metrics", errEmpty)
	}
	for _, metric := range r.Metrics {
		if metric.Property == "" || metric.Type == "" {
			return invalid("metrics", errMetric)
		}
	}
	return firstError(checkFilters(r.Filters), checkUTF8(&r))
}

func checkFilters(filters []ReportFilter) error {
	for _, filter := range filters {
		if filter.Property == "" || filter.Operation == "" {
			return invalid("filters", errFilter)
		}
	}
	return nil
}

const (
	errFilter = wire.Reason("must each have a property and an operation")
	errMetric = wire.Reason("must each have a property and a type")
)

var (
	reportsConversations       = rest.Route{Name: "classic.reports.conversations", Method: http.MethodPost, Path: "reports/conversations", Reads: true}
	reportsConversationSummary = rest.Route{Name: "classic.reports.conversationSummary", Method: http.MethodPost, Path: "reports/conversation-summary", Reads: true}
)

type reports struct{ *caller }

func (s reports) Conversations(
	ctx context.Context, req ReportRequest, opts ...drift.CallOption,
) (*Report, error) {
	return rest.One[Report](ctx, s.caller, &reportsConversations,
		rest.Input{Body: &req, Err: req.check(), Bare: true, NaN: true, Limiter: s.reports}, opts)
}

func (s reports) ConversationSummary(
	ctx context.Context, req ReportSummaryRequest, opts ...drift.CallOption,
) (json.RawMessage, error) {
	return rest.Raw(ctx, s.caller, &reportsConversationSummary,
		rest.Input{Body: &req, Err: req.check(), Bare: true, NaN: true, Limiter: s.reports}, opts)
}

// UnmarshalJSON decodes a report as sent by the API or encoded by MarshalJSON.
func (r *Report) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, r) }

// MarshalJSON encodes the report with the API's names, Extra included.
func (r Report) MarshalJSON() ([]byte, error) {
	type fields Report
	return wire.Marshal(fields(r))
}

// UnmarshalJSON decodes a row as sent by the API or encoded by MarshalJSON.
func (r *ReportRow) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, r) }

// MarshalJSON encodes the row with the API's names, Extra included.
func (r ReportRow) MarshalJSON() ([]byte, error) {
	type fields ReportRow
	return wire.Marshal(fields(r))
}

// UnmarshalJSON decodes a filter encoded by MarshalJSON. Numbers become [json.Number].
func (f *ReportFilter) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, f) }

// MarshalJSON encodes the filter with the API's names and units.
func (f ReportFilter) MarshalJSON() ([]byte, error) {
	type fields ReportFilter
	return wire.Marshal(fields(f))
}
