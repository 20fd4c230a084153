package drift_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/testkit"
)

func TestKindOf(t *testing.T) {
	assert.Zero(t, testing.AllocsPerRun(10, func() { _ = drift.KindOf(nil) }), "hooks ask for it after every call")
	status := func(code int) error { return &drift.APIError{StatusCode: code} }
	for _, test := range []struct {
		kind string
		err  error
	}{
		{"ok", nil},
		{"canceled", context.Canceled},
		{"canceled", &drift.TransportError{Err: context.Canceled}},
		{"deadline_exceeded", context.DeadlineExceeded},
		{"deadline_exceeded", fmt.Errorf("export: %w", &drift.TransportError{Err: context.DeadlineExceeded})},
		{"too_large", &drift.TransportError{Err: drift.ErrTooLarge}},
		{"unexpected_content", &drift.TransportError{Err: drift.ErrUnexpectedContent}},
		{"unexpected_content", &drift.PageError{Err: drift.ErrCursorLoop}},
		{"closed", drift.ErrClosed},
		{"closed", &drift.TransportError{Err: drift.ErrClosed}},
		{"reauth_required", &drift.TransportError{Err: drift.ErrReauthRequired}},
		{"quota_exceeded", &drift.QuotaError{}},
		{"quota_exceeded", &drift.QuotaError{Err: status(429)}},
		{"rate_limited", &drift.RateLimitError{}},
		{"rate_limited", &drift.RateLimitError{Local: true, Err: context.DeadlineExceeded}},
		{"ambiguous", &drift.AmbiguousError{Err: status(500)}},
		{"ambiguous", &drift.AmbiguousError{Err: &drift.TransportError{Err: context.Canceled}}},
		{"invalid", &drift.ValidationError{}},
		{"invalid", status(400)},
		{"invalid", status(422)},
		{"unauthorized", status(401)},
		{"forbidden", status(403)},
		{"not_found", status(404)},
		{"not_found", &drift.PageError{Err: status(404)}},
		{"conflict", status(409)},
		{"rate_limited", status(429)},
		{"server", status(500)},
		{"server", status(599)},
		{"not_found", &drift.APIError{StatusCode: 200, Type: "not_found"}},
		{"decode", &drift.DecodeError{}},
		{"decode", &drift.RecordError{Err: &drift.DecodeError{}}},
		{"_OTHER", status(418)},
		{"_OTHER", errors.New("other")},
		{"_OTHER", io.EOF},
		{"_OTHER", &drift.TransportError{}},
	} {
		assert.Equal(t, test.kind, string(drift.KindOf(test.err)), "%#v", test.err)
	}
}

// The kind of a failure of the network is that of the failure, in the call's error and in its attempts.
func TestKindOfTheNetwork(t *testing.T) {
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	for _, test := range []struct {
		kind drift.Kind
		err  error
	}{
		{drift.KindDNS, dial(&net.DNSError{IsNotFound: true})},
		{drift.KindDNS, dial(&net.DNSError{IsTimeout: true})},
		{drift.KindConnect, dial(syscall.ECONNREFUSED)},
		{drift.KindConnect, dial(syscall.EHOSTUNREACH)},
		{drift.KindConnect, &net.OpError{Op: "proxyconnect", Err: &net.DNSError{IsNotFound: true}}},
		{drift.KindConnect, errors.New("Proxy Authentication Required")},
		{drift.KindConnect, http.ErrSchemeMismatch},
		{drift.KindTimeout, dial(os.ErrDeadlineExceeded)},
		{drift.KindTimeout, os.ErrDeadlineExceeded},
		{drift.KindConnection, syscall.ECONNRESET},
		{drift.KindConnection, io.ErrUnexpectedEOF},
		{drift.KindConnection, errors.New("unknown")},
		{drift.KindCanceled, context.Canceled},
	} {
		client := testkit.Through(t, testkit.Fails(test.err), drift.WithoutRetry(), drift.WithLimiter(testkit.OpenLimiter{}))
		err := testkit.Get(t.Context(), client)
		assert.Equal(t, test.kind, drift.KindOf(err), "%v", test.err)
		var transport *drift.TransportError
		require.ErrorAs(t, err, &transport)
		require.Len(t, transport.Attempts, 1)
		assert.Equal(t, test.kind, drift.KindOf(transport.Attempts[0].Err), "%v", test.err)
		require.ErrorIs(t, transport.Unsafe(), test.err)
	}
}

// A store that cannot be reached is not the service that cannot be reached.
func TestKindOfAFailedStore(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	for _, option := range []drift.Option{
		drift.WithLimiter(failingLimiter{refused}), drift.WithQuotaStore(&store{reserveErr: refused}),
	} {
		err := testkit.Get(t.Context(), testkit.Through(t, testkit.Answer(200), option, drift.WithoutRetry()))
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		assert.Equal(t, drift.KindOther, drift.KindOf(err))
		assert.NotContains(t, err.Error(), "drift.test", "the service was not asked")
		assert.NotContains(t, err.Error(), "base URL")
	}
}
