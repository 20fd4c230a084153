//go:build !goexperiment.jsonv2

package main

// The JSON engine of this build, and the GOEXPERIMENT that builds the other one.
const (
	engine          = jsonV1
	otherExperiment = "jsonv2"
)
