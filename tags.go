package drift

import (
	"context"
	"encoding/json"
	"time"

	"github.com/driftsdk/drift/internal/wire"
)

// TagsService reads and writes the account's tags. The API has no operation that lists them.
//
// The interface may grow in minor versions: embed it in a fake, or declare an interface of the methods that you use.
type TagsService interface {
	// Get returns one tag: GET v2/tags/{tagId}. No such tag is [ErrNotFound].
	Get(ctx context.Context, id TagID, opts ...CallOption) (*Tag, error)

	// Create makes a tag: POST v2/tags.
	Create(ctx context.Context, req TagCreateRequest, opts ...CallOption) (*Tag, error)

	// Update changes the fields that are set and leaves the others alone: PATCH v2/tags/{tagId}. A request that sets nothing
	// is a [*ValidationError].
	Update(ctx context.Context, id TagID, req TagUpdateRequest, opts ...CallOption) (*Tag, error)

	// Delete removes a tag: DELETE v2/tags/{tagId}.
	Delete(ctx context.Context, id TagID, opts ...CallOption) error
}

// Tag is a tag of the account. Records carry tags as a [TagRef].
type Tag struct {
	ID             TagID     `json:"id"`
	Name           string    `json:"name,omitzero"`
	Color          string    `json:"color,omitzero"` // hex, with or without #
	Description    string    `json:"description,omitzero"`
	Enabled        bool      `json:"enabled,omitzero"`
	BackgroundMode bool      `json:"background_mode,omitzero"`
	CreatedAt      time.Time `json:"created_at,omitzero"`
	UpdatedAt      time.Time `json:"updated_at,omitzero"`

	// Extra holds the fields that this type does not have; nil when there are none.
	Extra map[string]json.RawMessage `json:",embed,inline"`
}

// TagCreateRequest is the body of POST v2/tags. What is left zero is not sent.
type TagCreateRequest struct {
	BackgroundMode *bool  `json:"background_mode,omitzero"`
	Color          string `json:"color,omitzero"` // hex, sent as it is
	Description    string `json:"description,omitzero"`
	Enabled        *bool  `json:"enabled,omitzero"`
	Name           string `json:"name,omitzero"`
}

// TagUpdateRequest is the body of PATCH v2/tags/{tagId}.
type TagUpdateRequest struct {
	BackgroundMode Optional[bool]   `json:"background_mode,omitzero"`
	Color          Optional[string] `json:"color,omitzero"` // hex, sent as it is
	Description    Optional[string] `json:"description,omitzero"`
	Enabled        Optional[bool]   `json:"enabled,omitzero"`
	Name           Optional[string] `json:"name,omitzero"`
}

type tags struct{ *caller }

func (s tags) Get(ctx context.Context, id TagID, opts ...CallOption) (*Tag, error) {
	return one[Tag](ctx, s.caller, tagsGet, input{path: segments{id}, echo: echo{id: int64(id)}}, opts)
}

func (s tags) Create(ctx context.Context, req TagCreateRequest, opts ...CallOption) (*Tag, error) {
	return one[Tag](ctx, s.caller, tagsCreate, input{body: &req}, opts)
}

func (s tags) Update(ctx context.Context, id TagID, req TagUpdateRequest, opts ...CallOption) (*Tag, error) {
	return one[Tag](ctx, s.caller, tagsUpdate, input{path: segments{id}, body: &req, echo: echo{id: int64(id)}}, opts)
}

func (s tags) Delete(ctx context.Context, id TagID, opts ...CallOption) error {
	return none(ctx, s.caller, tagsDelete, input{path: segments{id}}, opts)
}

type tagFields Tag

func (t *Tag) fields() any      { return (*tagFields)(t) }
func (t *Tag) identified() bool { return t.ID > 0 }

// UnmarshalJSON decodes a tag as the API sends it, or as MarshalJSON wrote it.
func (t *Tag) UnmarshalJSON(data []byte) error { return unmarshalRecord(data, t) }

// MarshalJSON encodes the tag with the API's names and units, Extra included.
func (t Tag) MarshalJSON() ([]byte, error) { return wire.Marshal(t.fields()) }
