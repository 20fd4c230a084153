package drift

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"
)

const (
	// issueCooldown is how long after its issue a token is taken to be good, whatever an operation answers to it.
	issueCooldown = 10 * time.Second

	// servedRecently is how long a call that a token served shows that the token is good.
	servedRecently = time.Minute
)

// refusals decides whether a 401 is a reason for a new token. Some operations answer 401 to a good one (CONTACT-2 is
// documented), and a refresh that does not help costs a refresh token and two calls of the month.
type refusals struct {
	active atomic.Bool // a success has to be noted; a load for each call, and no lock, where it has not

	mu         sync.Mutex
	token      string    // the access token that all of this is about
	issued     time.Time // when this process was given it; zero: it may be older
	served     time.Time // when the latest call began that it served
	operations map[string]*operationRefusals
}

// operationRefusals is how one operation took the token.
type operationRefusals struct {
	served      time.Time // when the latest call began that was served
	first, last time.Time // when it refused the token
}

// tokenUse is a call that was sent with a token.
type tokenUse struct {
	operation string
	started   time.Time
}

// track begins with another token. A zero time means that it was not issued to this process just now.
func (r *refusals) track(token string, issued time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begin(token, issued)
}

// trackNew begins with what a source returned in place of a token that was refused.
func (r *refusals) trackNew(token, stale *oauth2.Token, err error) {
	if err == nil && token != nil && token.AccessToken != stale.AccessToken {
		r.track(token.AccessToken, time.Now())
	}
}

func (r *refusals) begin(token string, issued time.Time) {
	if r.token == token {
		return
	}
	r.token, r.issued, r.served, r.operations = token, issued, time.Time{}, map[string]*operationRefusals{}
	r.active.Store(!issued.IsZero())
}

// serve notes that a call succeeded with the token.
func (r *refusals) serve(token string, use tokenUse) {
	if !r.active.Load() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if token != r.token {
		return
	}
	r.served = later(r.served, use.started)
	operation := r.operation(use.operation)
	operation.served = later(operation.served, use.started)
}

// justify notes that a call was refused with the token, and reports whether a refresh may help.
func (r *refusals) justify(token string, use tokenUse) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	justIssued := !r.issued.IsZero() && now.Sub(r.issued) < issueCooldown
	if token != r.token {
		if justIssued {
			return true // the call was sent before that token came
		}
		r.begin(token, time.Time{})
	}
	operation := r.operation(use.operation)
	before := *operation
	operation.last = now
	if before.first.IsZero() {
		operation.first = now
	}
	r.active.Store(true)
	switch {
	case before.first.IsZero():
		servedHere := !before.served.IsZero() && !use.started.Before(before.served)
		return !justIssued || servedHere // served, and then refused: the token has ended
	case justIssued:
		return false
	case !r.served.Before(before.last):
		return false
	}
	return r.served.Before(before.first) || now.Sub(r.served) >= servedRecently
}

func (r *refusals) operation(name string) *operationRefusals {
	operation := r.operations[name]
	if operation == nil {
		operation = new(operationRefusals)
		r.operations[name] = operation
	}
	return operation
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
