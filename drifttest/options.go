package drifttest

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// DefaultToken is the access token that a server without [WithToken] accepts.
const DefaultToken = "drifttest-token-8c1f0a6e2b7d4953"

// Option configures a [Server].
type Option func(*settings) error

type settings struct {
	address   string
	tokens    []string
	perMinute int
	perMonth  int
	demo      bool
	clock     func() time.Time
	app       OAuthApp

	requiredKeys bool
}

func newSettings(opts []Option) (settings, error) {
	set := settings{
		tokens: []string{DefaultToken},
		clock:  time.Now,
		app:    OAuthApp{}.withDefaults(),
	}
	for _, opt := range opts {
		if opt == nil {
			continue
		}
		if err := opt(&set); err != nil {
			return settings{}, err
		}
	}
	return set, nil
}

// WithToken sets the access tokens that the server accepts, in place of [DefaultToken]. [Server.Client] uses the first.
func WithToken(tokens ...string) Option {
	return func(set *settings) error {
		if len(tokens) == 0 || slices.Contains(tokens, "") {
			return errors.New("WithToken: a token must not be empty")
		}
		set.tokens = slices.Clone(tokens)
		return nil
	}
}

// WithAddress sets the host and port to listen on, for instance "127.0.0.1:8080". Without it the system chooses a free
// port of 127.0.0.1, and a server that starts in a bubble of testing/synctest has no port.
func WithAddress(addr string) Option {
	return func(set *settings) error {
		if addr == "" {
			return errors.New("WithAddress: the address must not be empty")
		}
		set.address = addr
		return nil
	}
}

// WithLimits makes the server refuse requests beyond perMinute in any 60 seconds and beyond perMonth in a calendar
// month (UTC). 0 turns a limit off. Without this option, both are off. All tokens share one account.
//
// A request beyond the minute's limit is answered with a 429 of type "rate_limit" with a Retry-After, and does not
// count against the minute. One beyond the month's limit is answered with a 429 of type "quota_exceeded". [Server.Used]
// returns both counts. With a limit on the minute, the reports of the classic API have a further one, of 60.
func WithLimits(perMinute, perMonth int) Option {
	return func(set *settings) error {
		if perMinute < 0 || perMonth < 0 {
			return fmt.Errorf("WithLimits(%d, %d): a limit must not be negative", perMinute, perMonth)
		}
		set.perMinute, set.perMonth = perMinute, perMonth
		return nil
	}
}

// WithDemoData fills the server with a small account: contacts, conversations in every status with messages, four of
// them open and unassigned, two with a file, tags and notes, a few meetings, the people and teams of the company
// "acme.example", and the users, accounts and playbooks of the classic API. It is the same account in every run.
func WithDemoData() Option {
	return func(set *settings) error {
		set.demo = true
		return nil
	}
}

// WithRequiredKeys makes the server refuse a create without the keys that package drift always sends: the
// client_message_id and the body's conversation_id of messages.create, the client_id of notes.create, and the body's
// conversation_id of driftbot.trigger. The answer is 400. Use it to test another client, or calls of [drift.Client.Do]
// that replace these methods. Without this option the server accepts such requests.
func WithRequiredKeys() Option {
	return func(set *settings) error {
		set.requiredKeys = true
		return nil
	}
}

// WithClock sets the server's clock, which determines the times of records and requests, the limits, and the lifetimes
// of tokens. The server calls it once for each request, never concurrently. The clock must not call the server.
func WithClock(now func() time.Time) Option {
	return func(set *settings) error {
		if now == nil {
			return errors.New("WithClock: the clock must not be nil")
		}
		set.clock = now
		return nil
	}
}
