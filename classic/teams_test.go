package classic_test

import (
	"context"

	"github.com/driftsdk/drift/classic"
)

var teamCalls = map[string]goldenCall{
	"teams.list":       func(ctx context.Context, c *classic.Client) (any, error) { return c.Teams.List(ctx) },
	"teams.listByUser": func(ctx context.Context, c *classic.Client) (any, error) { return c.Teams.ListByUser(ctx, 228225) },
}
