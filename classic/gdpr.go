package classic

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/rest"
	"github.com/driftsdk/drift/internal/wire"
)

// GDPRService retrieves and deletes what Drift stores about a person. The calls need the scopes gdpr_read and
// gdpr_write, which only an organization's own apps can have. Neither call is repeated when its fate is unknown.
//
// The interface may grow in minor versions: embed it in a fake, or declare an interface of the methods that you use.
type GDPRService interface {
	// Retrieve makes Drift send what it stores about an address to the organization's owner: POST gdpr/retrieve. The
	// data arrive by e-mail. The shape of the answer has confidence C. An address without "@" is a
	// [*drift.ValidationError].
	Retrieve(ctx context.Context, email string, opts ...drift.CallOption) (*GDPRRetrieval, error)

	// Delete makes Drift delete every contact and user with an address: POST gdpr/delete. This cannot be undone. An
	// address without "@" is a [*drift.ValidationError].
	Delete(ctx context.Context, email string, opts ...drift.CallOption) (*GDPRDeletion, error)
}

// GDPRRetrieval is the answer to a retrieval.
type GDPRRetrieval struct {
	Message     string `json:"message,omitzero"`
	SentToEmail string `json:"sentToEmail,omitzero"`

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// GDPRDeletion is the answer to a deletion.
type GDPRDeletion struct {
	Message string `json:"message,omitzero"`

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

type gdprBody struct {
	Email string `json:"email"`
}

var (
	gdprRetrieve = rest.Route{Name: "classic.gdpr.retrieve", Method: http.MethodPost, Path: "gdpr/retrieve"}
	gdprDelete   = rest.Route{Name: "classic.gdpr.delete", Method: http.MethodPost, Path: "gdpr/delete"}
)

type gdpr struct{ *caller }

func (s gdpr) Retrieve(ctx context.Context, email string, opts ...drift.CallOption) (*GDPRRetrieval, error) {
	return rest.One[GDPRRetrieval](ctx, s.caller, &gdprRetrieve,
		rest.Input{Body: &gdprBody{email}, Err: rest.CheckEmail(email)}, opts)
}

func (s gdpr) Delete(ctx context.Context, email string, opts ...drift.CallOption) (*GDPRDeletion, error) {
	return rest.One[GDPRDeletion](ctx, s.caller, &gdprDelete,
		rest.Input{Body: &gdprBody{email}, Err: rest.CheckEmail(email)}, opts)
}

// UnmarshalJSON decodes an answer as sent by the API or encoded by MarshalJSON.
func (r *GDPRRetrieval) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, r) }

// MarshalJSON encodes the answer with the API's names, Extra included.
func (r GDPRRetrieval) MarshalJSON() ([]byte, error) {
	type fields GDPRRetrieval
	return wire.Marshal(fields(r))
}

// UnmarshalJSON decodes an answer as sent by the API or encoded by MarshalJSON.
func (d *GDPRDeletion) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, d) }

// MarshalJSON encodes the answer with the API's names, Extra included.
func (d GDPRDeletion) MarshalJSON() ([]byte, error) {
	type fields GDPRDeletion
	return wire.Marshal(fields(d))
}
