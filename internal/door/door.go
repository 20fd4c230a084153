// Package door gives other packages of this module access to the engine of package drift, which does not export it.
package door

import "github.com/driftsdk/drift/internal/rest"

// Caller returns the rest.Caller[drift.CallOption] of a *drift.Client. Package drift sets it.
var Caller func(client any) any

// Limiter returns the drift.Limiter of this name that a *drift.Client shares with its views, or makes it. Package drift
// sets it.
var Limiter func(client any, name string, perMinute int) any

// Routes are the routes of the packages that call through Caller. They add them when the program starts, so that
// drift.Operations can list them.
var Routes []*rest.Route

// AddRoutes adds the routes of a package.
func AddRoutes(routes ...*rest.Route) struct{} {
	Routes = append(Routes, routes...)
	return struct{}{}
}
