// Package holder tells a token store which of its callers has its lock: those whose contexts name the same holder.
package holder

import "context"

type key struct{}

// With returns a context of a holder.
func With(ctx context.Context, holder any) context.Context {
	return context.WithValue(ctx, key{}, holder)
}

// Of returns the holder that a context names, or nil.
func Of(ctx context.Context) any { return ctx.Value(key{}) }
