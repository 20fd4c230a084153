package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/examples/archive/fetch"
	"github.com/driftsdk/drift/examples/archive/store"
)

// limits are the flags of commands that call the service.
type limits struct {
	fetch.Options
	plan     string
	keepFree int
	rate     int
}

func (c *invocation) limits(progress *progress) *limits {
	l := new(limits)
	l.Progress, l.Waiting = progress.show, progress.waiting
	c.flags.StringVar(&l.plan, "plan", os.Getenv("DRIFT_PLAN"),
		"the `plan` of the account: starter, professional, enterprise, or a number of calls a month")
	c.flags.IntVar(&l.keepFree, "keep-free", 0, "leave `n` calls of the month to other programs; needs -plan")
	c.flags.IntVar(&l.rate, "rate", drift.DefaultRateLimit,
		"the service allows `n` calls a minute; a tenth, but at most 10, is left to other programs")
	c.flags.BoolVar(&l.Wait, "wait", false, "when the month's calls are used up, wait for the next month")
	c.flags.IntVar(&l.Workers, "workers", 4, "make `n` calls at the same time")
	c.flags.DurationVar(&l.Overlap, "overlap", 10*time.Minute,
		"look again at what changed within this `duration` before the last sync")
	c.flags.DurationVar(&l.Patience, "patience", time.Hour,
		"wait for this `duration` if the service does not answer")
	return l
}

// check refuses flags that make no sense.
func (l *limits) check() error {
	calls, err := parsePlan(l.plan)
	switch {
	case err != nil:
		return err
	case l.keepFree < 0 || l.keepFree > 0 && l.keepFree >= int(calls):
		return fmt.Errorf("-keep-free %d: needs -plan, with more calls than that", l.keepFree)
	case l.rate < 1:
		return fmt.Errorf("-rate %d: must be at least 1", l.rate)
	case l.Workers < 1:
		return fmt.Errorf("-workers %d: must be at least 1", l.Workers)
	case l.Overlap < 0:
		return fmt.Errorf("-overlap %s: must not be negative", l.Overlap)
	case l.Patience < 0:
		return fmt.Errorf("-patience %s: must not be negative", l.Patience)
	}
	return nil
}

// account is an archive together with the account that it belongs to.
type account struct {
	store   *store.Store
	fetcher *fetch.Fetcher
	quota   *fetch.Quota
	client  *drift.Client
	lock    *flock.Flock
}

// errNoToken reports a command that needs an account.
var errNoToken = errors.New("DRIFT_TOKEN is not set: set it to an access token of the account; " +
	"archive demo needs none")

// open locks the archive, and connects it to the account of DRIFT_TOKEN.
func (l *limits) open(ctx context.Context, dir string) (*account, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	token := drift.Secret(os.Getenv("DRIFT_TOKEN"))
	if token == "" {
		return nil, errNoToken
	}
	return l.connect(ctx, dir, host(), token, drift.FromEnv())
}

func (l *limits) connect(
	ctx context.Context, dir, host string, token drift.Secret, options ...drift.Option,
) (a *account, err error) {
	plan, err := parsePlan(l.plan)
	if err != nil {
		return nil, err
	}
	a = new(account)
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	if a.lock, err = lock(dir); err != nil {
		return a, err
	}
	if a.store, err = store.Open(ctx, dir); err != nil {
		return a, err
	}
	a.quota = fetch.NewQuota(a.store, plan, l.keepFree)
	a.client, err = drift.NewClient(append(options, drift.WithQuotaStore(a.quota), drift.WithRateLimit(l.rate),
		drift.WithUserAgent("drift-archive"), drift.WithRetryPolicy(drift.RetryPolicy{MaxAttempts: 4, Budget: -1}))...)
	if err != nil {
		return a, err
	}
	a.fetcher = fetch.New(a.client, a.store, a.quota, l.Options)
	return a, a.fetcher.Bind(ctx, host, token)
}

// Close closes the archive and unlocks it.
func (a *account) Close() error {
	var errs []error
	if a.client != nil {
		errs = append(errs, a.client.Close())
	}
	if a.store != nil {
		errs = append(errs, a.store.Close())
	}
	if a.lock != nil {
		errs = append(errs, a.lock.Close())
	}
	return errors.Join(errs...)
}

// lock keeps other commands from writing to the archive. The system releases it even if the process is killed.
func lock(dir string) (*flock.Flock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	held := flock.New(filepath.Join(dir, "archive.lock"), flock.SetPermissions(0o600))
	locked, err := held.TryLock()
	if err == nil && !locked {
		err = errors.New("another command is writing to this archive")
	}
	if err != nil {
		return nil, err
	}
	return held, nil
}

// host returns the host of the service. The port does not matter: an organization is the same behind any of them.
func host() string {
	base := os.Getenv("DRIFT_BASE_URL")
	if base == "" {
		base = drift.DefaultBaseURL
	}
	address, err := url.Parse(base)
	if err != nil {
		return "" // the client reports the error
	}
	return address.Hostname()
}

func parsePlan(name string) (drift.Plan, error) {
	switch strings.ToLower(name) {
	case "":
		return 0, nil
	case "starter":
		return drift.PlanStarter, nil
	case "professional":
		return drift.PlanProfessional, nil
	case "enterprise":
		return drift.PlanEnterprise, nil
	}
	calls, err := strconv.Atoi(name)
	if err != nil || calls <= 0 {
		return 0, fmt.Errorf("-plan %s: must be starter, professional, enterprise or a number of calls", name)
	}
	return drift.Plan(calls), nil
}
