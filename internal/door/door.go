// Package door gives other packages of this module access to the engine of package drift, which does not export it.
package door

// Caller returns the rest.Caller[drift.CallOption] of a *drift.Client. Package drift sets it.
var Caller func(client any) any
