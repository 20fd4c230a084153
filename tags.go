package drift

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/driftsdk/drift/internal/rest"
	"github.com/driftsdk/drift/internal/wire"
)

// TagsService reads and writes the account's tags. The API cannot list them.
//
// The interface may grow in minor versions: embed it in a fake, or declare an interface of the methods that you use.
type TagsService interface {
	// Get returns a tag: GET v2/tags/{tagId}. If it does not exist, the error matches ErrNotFound.
	Get(ctx context.Context, id TagID, opts ...CallOption) (*Tag, error)

	// Create creates a tag: POST v2/tags.
	Create(ctx context.Context, req TagCreateRequest, opts ...CallOption) (*Tag, error)

	// Update changes the fields that are set: PATCH v2/tags/{tagId}. A request that sets no field
	// is a *ValidationError.
	Update(ctx context.Context, id TagID, req TagUpdateRequest, opts ...CallOption) (*Tag, error)

	// Delete removes a tag: DELETE v2/tags/{tagId}.
	Delete(ctx context.Context, id TagID, opts ...CallOption) error
}

// Tag is a tag of the account. Other records refer to tags as [TagRef].
type Tag struct {
	ID             TagID     `json:"id" wire:"id"`
	Name           string    `json:"name,omitzero"`
	Color          string    `json:"color,omitzero"` // hex, with or without #
	Description    string    `json:"description,omitzero"`
	Enabled        bool      `json:"enabled,omitzero"`
	BackgroundMode bool      `json:"background_mode,omitzero"`
	CreatedAt      time.Time `json:"created_at,omitzero"`
	UpdatedAt      time.Time `json:"updated_at,omitzero"`

	// Extra holds the fields that this type lacks; nil if there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// TagCreateRequest is the body of POST v2/tags. Zero fields are not sent.
type TagCreateRequest struct {
	BackgroundMode *bool  `json:"background_mode,omitzero"`
	Color          string `json:"color,omitzero"` // hex, sent unchanged
	Description    string `json:"description,omitzero"`
	Enabled        *bool  `json:"enabled,omitzero"`
	Name           string `json:"name,omitzero"`
}

// TagUpdateRequest is the body of PATCH v2/tags/{tagId}. Zero fields stay unchanged.
type TagUpdateRequest struct {
	BackgroundMode Optional[bool]   `json:"background_mode,omitzero"`
	Color          Optional[string] `json:"color,omitzero"` // hex, sent unchanged
	Description    Optional[string] `json:"description,omitzero"`
	Enabled        Optional[bool]   `json:"enabled,omitzero"`
	Name           Optional[string] `json:"name,omitzero"`
}

var (
	tagsGet    = rest.Route{Name: "tags.get", Method: http.MethodGet, Path: "v2/tags/{tagId}"}
	tagsCreate = rest.Route{Name: "tags.create", Method: http.MethodPost, Path: "v2/tags"}
	tagsUpdate = rest.Route{Name: "tags.update", Method: http.MethodPatch, Path: "v2/tags/{tagId}"}
	tagsDelete = rest.Route{Name: "tags.delete", Method: http.MethodDelete, Path: "v2/tags/{tagId}"}
)

type tags struct{ *caller }

func (s tags) Get(ctx context.Context, id TagID, opts ...CallOption) (*Tag, error) {
	return rest.One[Tag](ctx, s.caller, &tagsGet, rest.Input{Path: rest.Path{rest.OwnID(id)}}, opts)
}

func (s tags) Create(ctx context.Context, req TagCreateRequest, opts ...CallOption) (*Tag, error) {
	return rest.One[Tag](ctx, s.caller, &tagsCreate, rest.Input{Body: &req}, opts)
}

func (s tags) Update(ctx context.Context, id TagID, req TagUpdateRequest, opts ...CallOption) (*Tag, error) {
	return rest.One[Tag](ctx, s.caller, &tagsUpdate, rest.Input{Path: rest.Path{rest.OwnID(id)}, Body: &req}, opts)
}

func (s tags) Delete(ctx context.Context, id TagID, opts ...CallOption) error {
	return rest.None(ctx, s.caller, &tagsDelete, rest.Input{Path: rest.Path{rest.ID(id)}}, opts)
}

// UnmarshalJSON decodes a tag as sent by the API or encoded by MarshalJSON.
func (t *Tag) UnmarshalJSON(data []byte) error { return wire.UnmarshalObject(data, t) }

// MarshalJSON encodes the tag with the API's names and units, Extra included.
func (t Tag) MarshalJSON() ([]byte, error) {
	type fields Tag
	return wire.Marshal(fields(t))
}
