package storetest_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest/storetest"
	"github.com/driftsdk/drift/webhook"
)

// broken is an implementation with one fault, which a check must find.
type broken struct {
	check string
	run   func(t *testing.T)
}

// brokenName names the implementation that the test binary runs the kit with, as another process.
const brokenName = "STORETEST_BROKEN"

func TestBroken(t *testing.T) {
	if name := os.Getenv(brokenName); name != "" {
		synctest.Test(t, implementations[name].run)
		return
	}
	program, err := os.Executable()
	require.NoError(t, err)
	for name, b := range implementations {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(program, "-test.run=^TestBroken$", "-test.v", "-test.timeout=20s")
			cmd.Env = append(os.Environ(), brokenName+"="+name)
			out, err := cmd.CombinedOutput()
			if b.check == "" {
				require.NoError(t, err, "%s", out)
				return
			}
			require.Error(t, err)
			found := strings.Contains(string(out), "the check was "+b.check+"\n")
			require.True(t, found, "%.2000s", out)
		})
	}
}

var implementations = map[string]broken{
	"limiter: good":               limiter("", fault{}),
	"limiter: not sent is used":   limiter("NotSent", fault{done: func(r drift.Result) drift.Result { return used }}),
	"limiter: wakes late":         limiter("NotSentWakesTheNext", fault{acquire: wakeLate}),
	"limiter: no classes":         limiter("Order", fault{turn: func(turn *drift.Turn) { turn.Class = drift.ClassInteractive }}),
	"limiter: forgets places":     limiter("Order", fault{turn: func(turn *drift.Turn) { turn.Since = time.Time{} }}),
	"limiter: waits to the end":   limiter("DeadlineThatCannotBeMet", fault{acquire: waitForDeadline}),
	"limiter: not local":          limiter("DeadlineThatCannotBeMet", fault{err: func(e *drift.RateLimitError) { e.Local = false }}),
	"limiter: no deadline":        limiter("DeadlineThatCannotBeMet", fault{err: func(e *drift.RateLimitError) { e.Err = nil }}),
	"limiter: no RetryAfter":      limiter("DeadlineThatCannotBeMet", fault{err: func(e *drift.RateLimitError) { e.RetryAfter = 0 }}),
	"limiter: waits for ever":     limiter("ContextEnds", fault{acquire: ignoreCancel}),
	"limiter: serves the dead":    limiter("ContextEnds", fault{acquire: serveEnded}),
	"limiter: no pause":           limiter("Pause", fault{pause: func(drift.Limiter, time.Time) {}}),
	"limiter: pause is shortened": limiter("PauseThatChangesNothing", fault{pause: lastPause}),
	"limiter: Done ends a pause":  limiter("PauseBeforeDone", fault{after: endPause}),
	"limiter: hides a pause":      limiter("DeadlineInAPause", fault{err: func(e *drift.RateLimitError) { e.RetryAfter = 1 }, from: 60}),
	"limiter: Done needs Acquire": limiter("DoneAfterTheContext", fault{needsContext: true}),
	"limiter: a second early":     limiter("Answered", fault{back: 59 * time.Second}),
	"limiter: no margin":          limiter("Unknown", fault{done: sentIsAnswered}),
	"limiter: forgets in flight":  limiter("InFlight", fault{lease: time.Minute}),
	"limiter: one too many":       limiter("AnyMinute", fault{extra: 1}),
	"limiters: not shared":        {"SharedSlot", func(t *testing.T) { storetest.TestSharedLimiter(t, separateLimiters) }},
	"limiters: pause not shared":  {"SharedPause", func(t *testing.T) { storetest.TestSharedLimiter(t, separatePauses) }},

	"quota: good":                  quota("", quotaFault{}),
	"quota: counts twice":          quota("Counts", quotaFault{step: 2}),
	"quota: never resets":          quota("Counts", quotaFault{noEnd: true}),
	"quota: no plan is a plan":     quota("WithoutPlan", quotaFault{alwaysLimit: true}),
	"quota: never rejects":         quota("UsedUp", quotaFault{noLimit: true}),
	"quota: counts the rejected":   quota("UsedUp", quotaFault{countRejected: true}),
	"quota: other error":           quota("UsedUp", quotaFault{err: errors.New("used up")}),
	"quota: no refund":             quota("Refund", quotaFault{refund: -1}),
	"quota: refunds two":           quota("Refund", quotaFault{refund: 1}),
	"quota: checks, then counts":   quota("LastCalls", quotaFault{race: true}),
	"quota: counts and fails":      quota("ContextEnds", quotaFault{failEnded: true}),
	"quota: one month for ever":    quota("NextMonth", quotaFault{oneMonth: true}),
	"quota: refunds in next month": quota("NextMonth", quotaFault{refundLate: true}),
	"quotas: not shared":           {"SharedCount", func(t *testing.T) { storetest.TestSharedQuotaStore(t, separateQuotas) }},

	"tokens: good":                {"", func(t *testing.T) { storetest.TestTokenStore(t, openMemoryTokens) }},
	"tokens: no organization":     tokens("Save", tokenFault{load: withoutExtra}),
	"tokens: no expiry":           tokens("Save", tokenFault{load: withoutExpiry}),
	"tokens: keeps a refresh":     tokens("Save", tokenFault{keepRefresh: true}),
	"tokens: keeps the last":      tokens("SaveNil", tokenFault{ignoreNil: true}),
	"tokens: shares its token":    tokens("Copies", tokenFault{alias: true}),
	"tokens: prints its token":    {"Secrets", func(t *testing.T) { storetest.TestTokenStore(t, openOpenTokens) }},
	"tokens: encodes its token":   {"Secrets", func(t *testing.T) { storetest.TestTokenStore(t, openEncodedTokens) }},
	"tokens: no lock":             tokens("Lock", tokenFault{noLock: true}),
	"tokens: waits for the lock":  tokens("LockContext", tokenFault{deaf: true}),
	"tokens: Load takes the lock": tokens("LoadWithoutTheLock", tokenFault{lockedLoad: true}),
	"tokens: Prepare removes":     {"Prepare", func(t *testing.T) { storetest.TestTokenStore(t, openPreparing) }},
	"tokens: not shared":          {"SharedSave", func(t *testing.T) { storetest.TestSharedTokenStore(t, separateTokens) }},

	"dedup: good":                {"", func(t *testing.T) { storetest.TestDedup(t, openMemoryDedup) }},
	"dedup: claims all":          dedup("Claim", dedupFault{claimAll: true}),
	"dedup: one key":             dedup("Claim", dedupFault{oneKey: true}),
	"dedup: never done":          dedup("Claim", dedupFault{noDone: true}),
	"dedup: no Abandon":          dedup("Abandon", dedupFault{noAbandon: true}),
	"dedup: Abandon fails":       dedup("Abandon", dedupFault{abandonErr: errors.New("unknown key")}),
	"dedup: lease without end":   dedup("Lease", dedupFault{lease: time.Hour}),
	"dedup: keeps for ever":      dedup("Keep", dedupFault{keep: time.Hour}),
	"dedup: Done needs a lease":  dedup("DoneAfterTheLease", dedupFault{doneInLease: true}),
	"dedup: looks, then claims":  dedup("ClaimIsAtomic", dedupFault{race: true}),
	"dedups: not shared":         {"SharedClaim", func(t *testing.T) { storetest.TestSharedDedup(t, separateDedups) }},
	"dedups: claimed once each":  {"SharedClaimIsAtomic", func(t *testing.T) { storetest.TestSharedDedup(t, racingDedups) }},
	"limiters: good":             {"", func(t *testing.T) { storetest.TestSharedLimiter(t, oneLimiter) }},
	"limiters: start over empty": {"Restart", func(t *testing.T) { storetest.TestSharedLimiter(t, forgetfulLimiters) }},
}

// fault is what is wrong with a limiter in memory.
type fault struct {
	turn    func(*drift.Turn)
	acquire func(context.Context, *drift.WindowLimiter, drift.Turn) (drift.Slot, error)
	err     func(*drift.RateLimitError)
	done    func(drift.Result) drift.Result
	after   func(*drift.WindowLimiter, drift.Result)
	pause   func(drift.Limiter, time.Time)

	from         int           // err applies from this limit on
	needsContext bool          // Done fails once the context of Acquire has ended
	back         time.Duration // after which an answered slot is free
	lease        time.Duration // after which a slot in flight is free
	extra        int           // calls above a limit of 20
}

type faulty struct {
	*drift.WindowLimiter
	fault
	perMinute int
}

func limiter(check string, f fault) broken {
	return broken{check, func(t *testing.T) {
		storetest.TestLimiter(t, func(_ *testing.T, perMinute int) drift.Limiter {
			limit := perMinute
			if limit == 20 {
				limit += f.extra
			}
			return &faulty{drift.NewLimiter(limit), f, perMinute}
		})
	}}
}

func (l *faulty) Acquire(ctx context.Context, turn drift.Turn) (drift.Slot, error) {
	if l.turn != nil {
		l.turn(&turn)
	}
	acquire := l.acquire
	if acquire == nil {
		acquire = func(ctx context.Context, l *drift.WindowLimiter, turn drift.Turn) (drift.Slot, error) {
			return l.Acquire(ctx, turn)
		}
	}
	slot, err := acquire(ctx, l.WindowLimiter, turn)
	var limited *drift.RateLimitError
	if errors.As(err, &limited) && l.err != nil && l.perMinute >= l.from {
		l.err(limited)
	}
	if err != nil {
		return nil, err
	}
	s := &faultySlot{Slot: slot, limiter: l, ctx: ctx}
	if l.lease > 0 {
		time.AfterFunc(l.lease, func() { s.once.Do(func() { _ = slot.Done(context.Background(), drift.Result{}) }) })
	}
	return s, nil
}

func (l *faulty) Pause(ctx context.Context, until time.Time) error {
	if l.pause != nil {
		l.pause(l.WindowLimiter, until)
		return nil
	}
	return l.WindowLimiter.Pause(ctx, until)
}

type faultySlot struct {
	drift.Slot
	limiter *faulty
	ctx     context.Context
	once    sync.Once
}

func (s *faultySlot) Done(ctx context.Context, r drift.Result) (err error) {
	f := s.limiter.fault
	if f.done != nil {
		r = f.done(r)
	}
	switch {
	case f.needsContext && s.ctx.Err() == context.Canceled:
		return nil
	case f.back > 0 && r.Outcome == drift.OutcomeAnswered:
		time.AfterFunc(f.back, func() { _ = s.Slot.Done(context.Background(), drift.Result{}) })
		return nil
	}
	s.once.Do(func() { err = s.Slot.Done(ctx, r) })
	if f.after != nil {
		f.after(s.limiter.WindowLimiter, r)
	}
	return err
}

var used = drift.Result{Outcome: drift.OutcomeAnswered}

func sentIsAnswered(r drift.Result) drift.Result {
	if r.Outcome == drift.OutcomeUnknown {
		return used
	}
	return r
}

func wakeLate(ctx context.Context, l *drift.WindowLimiter, turn drift.Turn) (drift.Slot, error) {
	if l.Stats().InFlight > 0 {
		select {
		case <-time.After(20 * time.Second):
		case <-ctx.Done():
		}
	}
	return l.Acquire(ctx, turn)
}

// undue is a context whose deadline is hidden.
type undue struct{ context.Context }

func (undue) Deadline() (time.Time, bool) { return time.Time{}, false }

func waitForDeadline(ctx context.Context, l *drift.WindowLimiter, turn drift.Turn) (drift.Slot, error) {
	return l.Acquire(undue{ctx}, turn)
}

func ignoreCancel(ctx context.Context, l *drift.WindowLimiter, turn drift.Turn) (drift.Slot, error) {
	if _, deadline := ctx.Deadline(); deadline || ctx.Err() != nil {
		return l.Acquire(ctx, turn)
	}
	return l.Acquire(context.WithoutCancel(ctx), turn)
}

func serveEnded(ctx context.Context, l *drift.WindowLimiter, turn drift.Turn) (drift.Slot, error) {
	if ctx.Err() != nil {
		ctx = context.WithoutCancel(ctx)
	}
	return l.Acquire(ctx, turn)
}

func lastPause(l drift.Limiter, until time.Time) {
	l.(*drift.WindowLimiter).Resume()
	_ = l.Pause(context.Background(), until)
}

func endPause(l *drift.WindowLimiter, r drift.Result) {
	if r.StatusCode == 429 {
		l.Resume()
	}
}

func oneLimiter(_ *testing.T, perMinute int) func() drift.Limiter {
	l := drift.NewLimiter(perMinute)
	return func() drift.Limiter { return l }
}

func separateLimiters(_ *testing.T, perMinute int) func() drift.Limiter {
	return func() drift.Limiter { return drift.NewLimiter(perMinute) }
}

// separatePauses has one limiter for the slots, and pauses of each instance.
func separatePauses(_ *testing.T, perMinute int) func() drift.Limiter {
	l := drift.NewLimiter(perMinute)
	return func() drift.Limiter { return &alone{WindowLimiter: l, pauses: drift.NewLimiter(1000)} }
}

type alone struct {
	*drift.WindowLimiter
	pauses *drift.WindowLimiter
}

func (a *alone) Acquire(ctx context.Context, turn drift.Turn) (drift.Slot, error) {
	slot, err := a.pauses.Acquire(ctx, drift.Turn{})
	if err != nil {
		return nil, err
	}
	_ = slot.Done(ctx, drift.Result{})
	return a.WindowLimiter.Acquire(ctx, turn)
}

func (a *alone) Pause(ctx context.Context, until time.Time) error { return a.pauses.Pause(ctx, until) }

// forgetfulLimiters forgets what was used if nothing is in flight when another instance is made.
func forgetfulLimiters(_ *testing.T, perMinute int) func() drift.Limiter {
	l := drift.NewLimiter(perMinute)
	made := time.Now()
	return func() drift.Limiter {
		if time.Since(made) > 0 && l.Stats().InFlight == 0 {
			l = drift.NewLimiter(perMinute)
		}
		return l
	}
}

// quotaFault is what is wrong with a store of the month's count.
type quotaFault struct {
	step                                                                              int
	refund                                                                            int // more than one
	err                                                                               error
	noEnd, alwaysLimit, noLimit, countRejected, race, failEnded, oneMonth, refundLate bool
}

func quota(check string, f quotaFault) broken {
	return broken{check, func(t *testing.T) {
		storetest.TestQuotaStore(t, func(_ *testing.T, plan drift.Plan) drift.QuotaStore {
			return &memoryQuota{quotaFault: f, limit: int(plan)}
		})
	}}
}

func separateQuotas(_ *testing.T, plan drift.Plan) func() drift.QuotaStore {
	return func() drift.QuotaStore { return &memoryQuota{limit: int(plan)} }
}

type memoryQuota struct {
	quotaFault
	limit int

	mu   sync.Mutex
	used int
	ends time.Time
}

func (q *memoryQuota) usage() drift.Usage {
	if now := time.Now().UTC(); !now.Before(q.ends) && (!q.oneMonth || q.ends.IsZero()) {
		q.used, q.ends = 0, time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, time.UTC)
	}
	usage := drift.Usage{Used: q.used, Limit: q.limit, ResetsAt: q.ends}
	if q.noEnd {
		usage.ResetsAt = time.Time{}
	}
	if q.alwaysLimit && q.limit == 0 {
		usage.Limit = int(drift.PlanStarter)
	}
	return usage
}

func (q *memoryQuota) Usage(context.Context) (drift.Usage, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.usage(), nil
}

func (q *memoryQuota) Reserve(ctx context.Context) (drift.Reservation, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if usage := q.usage(); usage.Limit > 0 && usage.Used >= usage.Limit && !q.noLimit {
		if q.countRejected {
			q.used++
		}
		if q.err != nil {
			return nil, q.err
		}
		return nil, &drift.QuotaError{Usage: usage}
	}
	if q.race {
		q.mu.Unlock()
		time.Sleep(time.Millisecond)
		q.mu.Lock()
	}
	q.used += max(1, q.step)
	if q.failEnded && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return memoryReservation{q, q.usage()}, nil
}

type memoryReservation struct {
	quota *memoryQuota
	used  drift.Usage
}

func (r memoryReservation) Usage() drift.Usage { return r.used }

func (r memoryReservation) Refund(context.Context) error {
	q := r.quota
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.usage(); q.refundLate || q.ends.Equal(r.used.ResetsAt) || q.noEnd {
		q.used -= 1 + q.refund
	}
	return nil
}

// tokenFault is what is wrong with a store of tokens in memory.
type tokenFault struct {
	load                                                    func(*oauth2.Token) *oauth2.Token
	keepRefresh, ignoreNil, alias, noLock, deaf, lockedLoad bool
}

func tokens(check string, f tokenFault) broken {
	return broken{check, func(t *testing.T) {
		storetest.TestTokenStore(t, func(*testing.T) drift.TokenStore {
			return &faultyTokens{TokenStore: drift.NewMemoryTokenStore(nil), tokenFault: f}
		})
	}}
}

type faultyTokens struct {
	drift.TokenStore
	tokenFault
	aliased *oauth2.Token
}

func (*faultyTokens) String() string   { return "tokens" }
func (*faultyTokens) GoString() string { return "tokens" }

func (s *faultyTokens) Load(ctx context.Context) (*oauth2.Token, error) {
	if s.lockedLoad && s.aliased != nil {
		unlock, err := s.TokenStore.Lock(ctx)
		if err != nil {
			return nil, err
		}
		defer unlock()
	}
	if s.alias {
		return s.aliased, nil
	}
	token, err := s.TokenStore.Load(ctx)
	if token != nil && s.load != nil {
		token = s.load(token)
	}
	return token, err
}

func (s *faultyTokens) Save(ctx context.Context, token *oauth2.Token) error {
	if s.ignoreNil && token == nil {
		return nil
	}
	if s.keepRefresh && token != nil && token.RefreshToken == "" {
		copied := *token
		copied.RefreshToken = "refresh-token-3"
		token = &copied
	}
	s.aliased = token
	return s.TokenStore.Save(ctx, token)
}

func (s *faultyTokens) Lock(ctx context.Context) (func(), error) {
	switch {
	case s.noLock:
		return func() {}, nil
	case s.deaf && ctx.Err() == nil:
		ctx = context.WithoutCancel(ctx)
	}
	return s.TokenStore.Lock(ctx)
}

func withoutExpiry(t *oauth2.Token) *oauth2.Token {
	t.Expiry = time.Time{}
	return t
}

func withoutExtra(t *oauth2.Token) *oauth2.Token {
	return &oauth2.Token{AccessToken: t.AccessToken, RefreshToken: t.RefreshToken, TokenType: t.TokenType, Expiry: t.Expiry}
}

// openTokens shows its token to fmt.
type openTokens struct {
	drift.TokenStore
	Token oauth2.Token
}

func (s *openTokens) Save(ctx context.Context, token *oauth2.Token) error {
	if token != nil {
		s.Token = *token
	}
	return s.TokenStore.Save(ctx, token)
}

func openOpenTokens(*testing.T) drift.TokenStore {
	return &openTokens{TokenStore: drift.NewMemoryTokenStore(nil)}
}

// encodedTokens shows its token to encoding/json alone.
type encodedTokens struct{ openTokens }

func (*encodedTokens) String() string   { return "tokens" }
func (*encodedTokens) GoString() string { return "tokens" }

func (s *encodedTokens) MarshalJSON() ([]byte, error) { return json.Marshal(s.Token) }

func openEncodedTokens(*testing.T) drift.TokenStore {
	return &encodedTokens{openTokens{TokenStore: drift.NewMemoryTokenStore(nil)}}
}

type preparing struct{ drift.TokenStore }

func (p preparing) Prepare(ctx context.Context) error { return p.Save(ctx, nil) }

func openPreparing(*testing.T) drift.TokenStore { return preparing{drift.NewMemoryTokenStore(nil)} }

func separateTokens(*testing.T) func() drift.TokenStore {
	return func() drift.TokenStore { return drift.NewMemoryTokenStore(nil) }
}

// dedupFault is what is wrong with a memory of deliveries.
type dedupFault struct {
	claimAll, oneKey, noDone, noAbandon, doneInLease, race bool
	abandonErr                                             error
	lease, keep                                            time.Duration // instead
}

func dedup(check string, f dedupFault) broken {
	return broken{check, func(t *testing.T) {
		storetest.TestDedup(t, func(*testing.T) webhook.Dedup { return &faultyDedup{webhook.NewMemoryDedup(0), f} })
	}}
}

type faultyDedup struct {
	*webhook.MemoryDedup
	dedupFault
}

func (d *faultyDedup) key(key string) string {
	if d.oneKey {
		return strings.Repeat("0", len(key))
	}
	return key
}

func (d *faultyDedup) Claim(ctx context.Context, key string, lease time.Duration) (webhook.Claim, error) {
	if d.lease > 0 {
		lease = d.lease
	}
	if d.race {
		claim, err := d.MemoryDedup.Claim(ctx, key, 0)
		time.Sleep(time.Millisecond)
		_, _ = d.MemoryDedup.Claim(ctx, key, lease)
		return claim, err
	}
	claim, err := d.MemoryDedup.Claim(ctx, d.key(key), lease)
	if d.claimAll {
		return webhook.Claimed, nil
	}
	return claim, err
}

func (d *faultyDedup) Done(ctx context.Context, key string, keep time.Duration) error {
	if d.keep > 0 {
		keep = d.keep
	}
	if d.noDone {
		return nil
	}
	if d.doneInLease {
		if claim, _ := d.MemoryDedup.Claim(ctx, key, 0); claim == webhook.Claimed {
			return nil
		}
	}
	return d.MemoryDedup.Done(ctx, d.key(key), keep)
}

func (d *faultyDedup) Abandon(ctx context.Context, key string) error {
	if d.abandonErr != nil {
		return d.abandonErr
	}
	if d.noAbandon {
		return nil
	}
	return d.MemoryDedup.Abandon(ctx, d.key(key))
}

func separateDedups(*testing.T) func() webhook.Dedup {
	return func() webhook.Dedup { return webhook.NewMemoryDedup(0) }
}

// racingDedups share what they know a moment late.
func racingDedups(*testing.T) func() webhook.Dedup {
	shared := webhook.NewMemoryDedup(0)
	return func() webhook.Dedup { return &racingDedup{MemoryDedup: shared, one: make(chan struct{}, 1)} }
}

type racingDedup struct {
	*webhook.MemoryDedup
	one chan struct{} // has room for one caller
}

func (d *racingDedup) Claim(ctx context.Context, key string, lease time.Duration) (webhook.Claim, error) {
	d.one <- struct{}{}
	defer func() { <-d.one }()
	claim, err := d.MemoryDedup.Claim(ctx, key, 0)
	time.Sleep(time.Millisecond)
	_, _ = d.MemoryDedup.Claim(ctx, key, lease)
	return claim, err
}
