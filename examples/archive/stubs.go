package main

import "context"

// show shows the archive of the demonstration.
func show(ctx context.Context, c *invocation) error { return showStatus(ctx, c) }
