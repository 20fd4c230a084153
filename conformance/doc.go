// Package conformance holds the SDK and its test server to testdata/openapi.yaml and testdata/classic-openapi.yaml, the descriptions
// of the wire: a [Transport] between the two checks every request and every answer. It is a module of its own so that no user of the
// SDK downloads what it needs.
package conformance
