package main

import (
	"context"
	"io"

	"github.com/driftsdk/drift/examples/archive/store"
)

func plan(context.Context, *invocation) error          { return nil }
func verifyArchive(context.Context, *invocation) error { return nil }
func forget(context.Context, *invocation) error        { return nil }
func demo(context.Context, *invocation) error          { return nil }
func printVerification(io.Writer, *store.Verification) {}
