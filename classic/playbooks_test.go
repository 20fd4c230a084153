package classic_test

import (
	"context"

	"github.com/driftsdk/drift/classic"
)

var playbookCalls = map[string]goldenCall{
	"playbooks.list": func(ctx context.Context, c *classic.Client) (any, error) { return c.Playbooks.List(ctx) },
	"playbooks.listLandingPages": func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Playbooks.ListLandingPages(ctx)
	},
}
