package drift_test

import (
	"context"

	"github.com/driftsdk/drift"
)

var noteCalls = map[string]goldenCall{
	"notes.get": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Notes.Get(ctx, 42, 12)
	},
	"notes.create": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Notes.Create(ctx, 42, drift.NoteCreateRequest{
			Body: "Call back", ClientCreatedAt: instant(0), ClientID: "own-key", CreatedAt: instant(1), Tags: goldenTags, Type: "call", User: 7,
		})
	},
	"notes.update": func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Notes.Update(ctx, 42, 12, drift.NoteUpdateRequest{
			Body: drift.Set("Called"), Closed: drift.Set(true), CreatedAt: drift.Set(instant(0)), Labels: drift.Set(goldenLabels),
			Tags: drift.Set(goldenTags), Type: drift.Null[string](),
		})
	},
}
