// Package prism drives the SDK against Prism, a mock server that knows nothing but testdata/openapi.yaml. Its test has the build
// tag nightly, because it installs Prism from npm.
package prism
