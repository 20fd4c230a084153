package drift_test

import (
	"context"

	"github.com/driftsdk/drift"
)

var companyCalls = map[string]goldenCall{
	"companies.listPeople": func(ctx context.Context, c *drift.Client) (any, error) {
		return page(c.Companies.ListPeople(ctx, "123458_domain.com/é", drift.CompanyListPeopleOptions{
			Scope: "all", Search: "ann", Limit: 2, Cursor: "cursor-1",
		}))
	},
	"companies.listTeams": func(ctx context.Context, c *drift.Client) (any, error) {
		return page(c.Companies.ListTeams(ctx, "123458_domain.com", drift.CompanyListTeamsOptions{
			Scope: "all", Search: "sales", Limit: 2, Cursor: "cursor-1",
		}))
	},
}
