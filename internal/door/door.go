// Package door is how other packages of this module call through a client of package drift, which does not export its
// engine.
package door

// Caller returns what calls through a *drift.Client: a rest.Caller[drift.CallOption]. Package drift sets it.
var Caller func(client any) any
