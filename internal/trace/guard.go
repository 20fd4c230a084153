package trace

import (
	"net/http"
	"net/url"

	"github.com/driftsdk/drift/internal/wire"
)

// Guard is the last RoundTripper before the transport. It sees what middleware has made of a request, and passes each
// attempt on once and only to the origin of the base URL, so that the token goes nowhere else.
type Guard struct {
	Base *url.URL
	Next http.RoundTripper
}

// Reasons why a Guard refuses a request.
const (
	ErrElsewhere = wire.Reason("it changed the scheme or the host of the request, which would get the token")
	ErrDetached  = wire.Reason("it replaced the context of the request by one that is not derived from it")
	ErrTwice     = wire.Reason("a middleware sent the request a second time")
)

// RoundTrip implements http.RoundTripper.
func (g Guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := g.check(req); err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	return g.Next.RoundTrip(req)
}

func (g Guard) check(req *http.Request) error {
	r := FromContext(req.Context())
	u := req.URL
	switch {
	case r == nil:
		return ErrDetached
	case u == nil || u.Scheme != g.Base.Scheme || u.Host != g.Base.Host || u.Opaque != "",
		req.Host != "" && req.Host != g.Base.Host:
		return ErrElsewhere
	case !r.pass():
		return ErrTwice
	}
	return nil
}

// pass notes that the request passes the Guard, and reports whether it does so for the first time.
func (r *Request) pass() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := !r.passed
	r.passed = true
	return first
}

// Passed reports whether the request has passed the Guard.
func (r *Request) Passed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.passed
}
