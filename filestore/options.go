package filestore

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/window"
)

// Option configures [OpenQuota] and [OpenTokens]. Of the options, [WithAccount] applies to both.
type Option func(*config)

type config struct {
	plan     drift.Plan
	account  string
	location *time.Location
	change   bool
	logger   *slog.Logger
	length   time.Duration
	clock    func() time.Time

	sharedOwnership bool
}

func newConfig(opts []Option) config {
	c := config{location: time.UTC, logger: slog.New(slog.DiscardHandler), length: window.Length, clock: time.Now}
	for _, o := range opts {
		if o != nil {
			o(&c)
		}
	}
	return c
}

// WithPlan refuses calls beyond the plan's number in a month. The file keeps the plan, for all processes. Without this
// option, or with 0 or less, the plan in the file applies; if it has none, calls are counted but never refused. Opening
// a file with another plan is an [ErrSettings].
func WithPlan(plan drift.Plan) Option {
	return func(c *config) { c.plan = max(plan, 0) }
}

// WithAccount binds a new file to an account, under any name that you choose. Opening the file with another name is an
// [ErrAccount]. The file stores a hash of the name. The default is "", a name like any other.
func WithAccount(name string) Option {
	return func(c *config) { c.account = name }
}

// WithLocation sets the time zone in which months begin. The default, also for nil, is UTC. The file keeps the zone;
// opening it with another one is an [ErrSettings].
func WithLocation(location *time.Location) Option {
	return func(c *config) {
		if location != nil {
			c.location = location
		}
	}
}

// WithChangedSettings puts the plan, the time zone and the number of calls a minute of this process into the file. The
// counts continue. Processes that use the file with the old settings fail with [ErrSettings] from then on. Use this
// option once for each change, for example in a program that is run by hand.
func WithChangedSettings() Option {
	return func(c *config) { c.change = true }
}

// WithLogger logs a warning if a call of [OpenQuota] or of the quota waits longer than three seconds for the file,
// because another process holds its lock. The default, also for nil, is not to log.
func WithLogger(logger *slog.Logger) Option {
	return func(c *config) {
		if logger != nil {
			c.logger = logger
		}
	}
}

// WithSharedOwnership lets [OpenTokens] use a file that belongs to another user, and a directory in which its group or
// another user may replace files. Use it only if you trust all of them with the tokens: who can replace the file can
// read what is stored in it next.
func WithSharedOwnership() Option {
	return func(c *config) { c.sharedOwnership = true }
}

// settings are what all processes that use a file must agree on.
type settings struct {
	plan int    // calls a month; 0: not limited
	zone string // in which months begin, see zoneName; "": not known
}

// agreed returns the settings in force for a process with its own.
func (s settings) agreed(own settings, change bool) settings {
	if change || s.zone == "" {
		s.zone = own.zone
	}
	if own.plan > 0 && (change || s.plan == 0) {
		s.plan = own.plan
	}
	return s
}

// check returns an error if a process that has settings of its own must not use those.
func (s settings) check(own settings) error {
	switch {
	case s.zone != "" && s.zone != own.zone:
		return fmt.Errorf("%w: its months begin in %s, not in %s", ErrSettings, s.zone, own.zone)
	case s.plan > 0 && own.plan > 0 && s.plan != own.plan:
		return fmt.Errorf("%w: its plan has %d calls a month, not %d", ErrSettings, s.plan, own.plan)
	}
	return nil
}

// zoneName returns the name of a time zone with its offsets in winter and summer, because "Local", and names that
// programs choose, mean different zones.
func zoneName(location *time.Location) string {
	offset := func(month time.Month) string {
		return time.Date(2024, month, 1, 0, 0, 0, 0, location).Format("-07:00")
	}
	name := location.String()
	return fmt.Sprintf("%.*s (UTC%s, UTC%s)", maxZoneName, name, offset(time.January), offset(time.July))
}

// maxZoneName is longer than the name of any zone.
const maxZoneName = 80
