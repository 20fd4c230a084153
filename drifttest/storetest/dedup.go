package storetest

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/driftsdk/drift/webhook"
)

// TestDedup tests a memory of webhook deliveries. Each call of open must return an empty one, with room for a hundred. It
// is held to these promises:
//
//   - Claim takes a delivery that is neither claimed nor done, for one caller alone, until its lease ends.
//   - Done marks a delivery as handled, even after its lease, until keep has passed.
//   - Abandon forgets a delivery. That of an unknown key is not an error.
func TestDedup(t *testing.T, open func(t *testing.T) webhook.Dedup) {
	t.Helper()
	runAll(t, func(t *testing.T) func() webhook.Dedup {
		d := open(t)
		return func() webhook.Dedup { return d }
	}, dedupChecks)
}

// TestSharedDedup runs the checks of [TestDedup], and others with several instances of one memory, as processes would use
// them. Each call of open must make a new memory, and return a function that returns another instance of it. Of all
// instances, one alone may get a claim.
func TestSharedDedup(t *testing.T, open func(t *testing.T) func() webhook.Dedup) {
	t.Helper()
	runAll(t, open, slices.Concat(dedupChecks, sharedDedupChecks))
}

type openDedup = func(t *testing.T) func() webhook.Dedup

var dedupChecks = []check[openDedup]{
	{"Claim", 0, checkClaim},
	{"Abandon", 0, checkAbandon},
	{"Lease", 0, checkLease},
	{"Keep", 0, checkKeep},
	{"DoneAfterTheLease", 0, checkDoneAfterLease},
	{"ClaimIsAtomic", 0, func(t *testing.T, open openDedup) { checkAtomicClaim(t, open, 1) }},
	{"ContextEnds", 0, checkDedupContext},
}

var sharedDedupChecks = []check[openDedup]{
	{"SharedClaim", 0, checkSharedClaim},
	{"SharedClaimIsAtomic", 0, func(t *testing.T, open openDedup) { checkAtomicClaim(t, open, 3) }},
}

const (
	longLease  = time.Minute
	shortLease = 500 * time.Millisecond
)

// deliveryKey is the key of a delivery, of the form that a handler uses.
func deliveryKey(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])
}

var claimNames = map[webhook.Claim]string{
	webhook.Claimed: "Claimed", webhook.InFlight: "InFlight", webhook.Handled: "Handled", 0: "0",
}

// checkClaimed ends the test if a claim does not end so.
func checkClaimed(t *testing.T, d webhook.Dedup, key string, lease time.Duration, want webhook.Claim) {
	t.Helper()
	got, err := d.Claim(t.Context(), key, lease)
	noError(t, "Claim", err)
	if got != want {
		t.Fatalf("Claim: got %s, want %s", claimNames[got], claimNames[want])
	}
}

func markDone(t *testing.T, d webhook.Dedup, key string, keep time.Duration) {
	t.Helper()
	noError(t, "Done", d.Done(t.Context(), key, keep))
}

func abandon(t *testing.T, d webhook.Dedup, key string) {
	t.Helper()
	noError(t, "Abandon", d.Abandon(t.Context(), key))
}

func checkClaim(t *testing.T, open openDedup) {
	d := open(t)()
	one, other := deliveryKey("one"), deliveryKey("other")
	checkClaimed(t, d, one, longLease, webhook.Claimed)
	checkClaimed(t, d, one, longLease, webhook.InFlight)
	checkClaimed(t, d, other, longLease, webhook.Claimed)
	markDone(t, d, one, longLease)
	checkClaimed(t, d, one, longLease, webhook.Handled)
	checkClaimed(t, d, one, longLease, webhook.Handled)
	checkClaimed(t, d, other, longLease, webhook.InFlight)
	markDone(t, d, one, longLease)
	checkClaimed(t, d, one, longLease, webhook.Handled)
}

func checkAbandon(t *testing.T, open openDedup) {
	d := open(t)()
	key := deliveryKey("one")
	abandon(t, d, key)
	for range 2 {
		checkClaimed(t, d, key, longLease, webhook.Claimed)
		abandon(t, d, key)
	}
	checkClaimed(t, d, key, longLease, webhook.Claimed)
	markDone(t, d, key, longLease)
	abandon(t, d, key)
	checkClaimed(t, d, key, longLease, webhook.Claimed)
}

func checkLease(t *testing.T, open openDedup) {
	d := open(t)()
	short, long := deliveryKey("short"), deliveryKey("long")
	start := time.Now()
	checkClaimed(t, d, short, shortLease, webhook.Claimed)
	checkClaimed(t, d, long, longLease, webhook.Claimed)
	if got, err := d.Claim(t.Context(), short, longLease); err != nil || got != webhook.InFlight {
		if time.Since(start) < shortLease {
			t.Fatalf("Claim before the lease has ended: got %s, %v", claimNames[got], err)
		}
	}
	time.Sleep(2 * shortLease)
	checkClaimed(t, d, short, longLease, webhook.Claimed)
	checkClaimed(t, d, short, longLease, webhook.InFlight)
	checkClaimed(t, d, long, longLease, webhook.InFlight)
}

func checkKeep(t *testing.T, open openDedup) {
	d := open(t)()
	short, long := deliveryKey("short"), deliveryKey("long")
	for _, key := range []string{short, long} {
		checkClaimed(t, d, key, shortLease, webhook.Claimed)
	}
	markDone(t, d, short, shortLease)
	markDone(t, d, long, longLease)
	time.Sleep(2 * shortLease)
	checkClaimed(t, d, short, longLease, webhook.Claimed)
	checkClaimed(t, d, long, longLease, webhook.Handled)
}

func checkDoneAfterLease(t *testing.T, open openDedup) {
	d := open(t)()
	key := deliveryKey("slow")
	checkClaimed(t, d, key, shortLease, webhook.Claimed)
	time.Sleep(2 * shortLease)
	markDone(t, d, key, longLease)
	checkClaimed(t, d, key, longLease, webhook.Handled)
}

// checkAtomicClaim lets many callers claim one delivery at the same time, which must go to one of them.
func checkAtomicClaim(t *testing.T, open openDedup, instances int) {
	const callers = 24
	another := open(t)
	all := make([]webhook.Dedup, instances)
	for i := range all {
		all[i] = another()
	}
	for _, key := range []string{deliveryKey("one"), deliveryKey("two"), deliveryKey("three")} {
		var claimed atomic.Int32
		together(callers, func(i int) {
			got, err := all[i%instances].Claim(t.Context(), key, longLease)
			switch {
			case err != nil:
				t.Errorf("Claim: %v", err)
			case got == webhook.Claimed:
				claimed.Add(1)
			case got != webhook.InFlight:
				t.Errorf("Claim: got %s, want Claimed or InFlight", claimNames[got])
			}
		})
		if n := claimed.Load(); n != 1 {
			t.Fatalf("of %d claims of a delivery at the same time, %d succeeded", callers, n)
		}
	}
}

func checkDedupContext(t *testing.T, open openDedup) {
	d := open(t)()
	key := deliveryKey("one")
	returnsAtOnce(t, "Claim with a context that has ended", func() { _, _ = d.Claim(ended(t), key, longLease) })
	returnsAtOnce(t, "Done with a context that has ended", func() { _ = d.Done(ended(t), key, longLease) })
	returnsAtOnce(t, "Abandon with a context that has ended", func() { _ = d.Abandon(ended(t), key) })
}

func checkSharedClaim(t *testing.T, open openDedup) {
	another := open(t)
	here, there := another(), another()
	one, other := deliveryKey("one"), deliveryKey("other")
	checkClaimed(t, here, one, longLease, webhook.Claimed)
	checkClaimed(t, there, one, longLease, webhook.InFlight)
	checkClaimed(t, there, other, longLease, webhook.Claimed)
	markDone(t, here, one, longLease)
	checkClaimed(t, there, one, longLease, webhook.Handled)
	abandon(t, there, other)
	checkClaimed(t, here, other, longLease, webhook.Claimed)
	checkClaimed(t, another(), one, longLease, webhook.Handled)
}
