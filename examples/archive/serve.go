package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/driftsdk/drift/examples/archive/page"
	"github.com/driftsdk/drift/examples/archive/store"
)

// serve is the command serve.
func serve(ctx context.Context, c *invocation) error {
	port := c.flags.Int("port", 0, "the `port` on 127.0.0.1; 0: any that is free")
	if err := c.parse(); err != nil {
		return err
	}
	if *port < 0 || *port > 65535 {
		return fmt.Errorf("-port %d: must be 0 to 65535", *port)
	}
	return c.serve(ctx, *port, "")
}

// show serves the archive of the demonstration, and says what to look at.
func show(ctx context.Context, c *invocation) error {
	if !c.asJSON {
		fmt.Fprintln(c.stdout, "Search for a word, open a conversation, and look at \"as received\" below a message.")
	}
	return c.serve(ctx, 0, "This is a demonstration. The people and what they write are invented.")
}

// serve shows the archive until the command is stopped.
func (c *invocation) serve(ctx context.Context, port int, notice string) error {
	s, err := store.OpenReader(ctx, c.dir)
	if err != nil {
		return err
	}
	err = page.Serve(ctx, s, port, notice, func(address string) {
		if c.asJSON {
			fmt.Fprintf(c.stdout, "{\"address\": %q}\n", address)
			return
		}
		fmt.Fprintf(c.stdout, "Open this in a browser on this machine, and press Ctrl-C to stop:\n\n  %s\n\n", address)
	})
	if errors.Is(err, syscall.EADDRINUSE) {
		err = fmt.Errorf("-port %d is in use: choose another one, or leave it out for any that is free", port)
	}
	return errors.Join(err, s.Close())
}
