package drift

import (
	"context"

	"github.com/driftsdk/drift/internal/door"
	"github.com/driftsdk/drift/internal/rest"
)

var _ = openDoor()

func openDoor() struct{} {
	door.Caller = func(client any) any { return client.(*Client).connection() }
	door.Limiter = func(client any, name string, perMinute int) any {
		c := client.(*Client)
		if c == nil || c.caller == nil {
			return NewLimiter(perMinute)
		}
		return c.caller.ownLimiters.get(name, perMinute)
	}
	return struct{}{}
}

// connection returns the caller of a client's calls.
func (c *Client) connection() rest.Caller[CallOption] {
	if c == nil || c.caller == nil {
		return notConnected{}
	}
	return c.caller
}

// notConnected is the connection of a client that was not made by NewClient.
type notConnected struct{}

// Call returns errNotConnected.
func (notConnected) Call(context.Context, *rest.Route, *rest.Input, []CallOption, func(rest.Answer) error) error {
	return errNotConnected
}

// Range implements rest.Caller.
func (c notConnected) Range([]CallOption) rest.Range[CallOption] { return newRange(c) }
