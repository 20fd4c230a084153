package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
)

// demo archives an in-memory server into a temporary folder, and removes the folder at the end.
func demo(ctx context.Context, c *invocation) (err error) {
	progress := newProgress(c.stderr)
	l := c.limits(progress)
	if err := c.parse(); err != nil {
		return err
	}
	if !c.asJSON {
		fmt.Fprintln(c.stdout, "This is a demonstration with an invented account: an in-memory Drift server, and a "+
			"temporary folder.")
	}
	server, err := drifttest.Listen(drifttest.WithDemoData())
	if err != nil {
		return err
	}
	defer server.Close()
	if c.dir, err = os.MkdirTemp("", "drift-archive-demo-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(c.dir)) }()

	l.rate = 6000 // the server has no limit
	a, err := l.connect(ctx, c.dir, "demo", drifttest.DefaultToken, drift.WithToken(drifttest.DefaultToken),
		drift.WithBaseURL(server.URL), drift.WithHTTPClient(server.HTTPClient()))
	if err != nil {
		return err
	}
	if err := errors.Join(a.sync(ctx, c, progress), a.Close()); err != nil {
		return err
	}
	return show(ctx, c)
}
