package testkit

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
)

// RequireDecodeError checks that an error is a *DecodeError at path.
func RequireDecodeError(t testing.TB, err error, path string) {
	t.Helper()
	var e *drift.DecodeError
	require.ErrorAs(t, err, &e)
	assert.Equal(t, path, e.Path, "%v", err)
	assert.NotEmpty(t, e.Operation)
	assert.Error(t, e.Err)
}

// AllSentinels are the errors that errors.Is finds in errors of this module.
var AllSentinels = []error{
	drift.ErrInvalid, drift.ErrUnauthorized, drift.ErrForbidden, drift.ErrNotFound, drift.ErrConflict,
	drift.ErrRateLimited, drift.ErrQuotaExceeded, drift.ErrServer, drift.ErrAmbiguous, drift.ErrTooLarge,
	drift.ErrUnexpectedContent, drift.ErrCursorLoop, drift.ErrClosed, drift.ErrReauthRequired, context.Canceled, context.DeadlineExceeded,
}

// RequireSentinels checks that an error matches the wanted sentinels and no others.
func RequireSentinels(t *testing.T, err error, wanted []error) {
	t.Helper()
	for _, sentinel := range AllSentinels {
		if slices.Contains(wanted, sentinel) != errors.Is(err, sentinel) {
			require.Fail(t, "sentinel", "%v: errors.Is(err, %v) is %t", err, sentinel, errors.Is(err, sentinel))
		}
	}
}

const longestErrorText = 1500

// RequirePrintableError checks that the text of an error fits on a line of a log and is printable.
func RequirePrintableError(t testing.TB, err error) {
	t.Helper()
	text := err.Error()
	if len(text) >= longestErrorText || !utf8.ValidString(text) ||
		!strings.HasPrefix(text, "drift: ") || strings.Count(text, "drift: ") > 1 ||
		strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		require.Fail(t, "text", "%q", text)
	}
}

// ErrStopped is a cause that a test gives a context.
var ErrStopped = errors.New("the operator stopped the job")

// RequireTimeout checks that an error says that it is a timeout.
func RequireTimeout(t *testing.T, err error) {
	t.Helper()
	var timeout net.Error
	require.ErrorAs(t, err, &timeout)
	assert.True(t, timeout.Timeout())
	var transport *drift.TransportError
	require.ErrorAs(t, err, &transport)
	assert.True(t, transport.Timeout())
}

// RequireRecordError checks the error of one record: its place in the page, and the path of what is odd in it.
func RequireRecordError(t testing.TB, err error, index int, path string) *drift.RecordError {
	t.Helper()
	var record *drift.RecordError
	require.ErrorAs(t, err, &record)
	assert.Equal(t, index, record.Index)
	assert.NotEmpty(t, record.Operation)
	RequireDecodeError(t, record.Err, path)
	return record
}

// AssertTook allows for the nanosecond by which the bucket rounds up.
func AssertTook(t *testing.T, want time.Duration, start time.Time) {
	t.Helper()
	assert.InDelta(t, want.Seconds(), time.Since(start).Seconds(), 1e-6)
}

// RequireLocalLimit checks that a call ended because its wait would outlast the deadline.
func RequireLocalLimit(t *testing.T, err error, atLeast time.Duration) {
	t.Helper()
	var limited *drift.RateLimitError
	require.ErrorAs(t, err, &limited)
	require.True(t, limited.Local)
	require.GreaterOrEqual(t, limited.RetryAfter, atLeast)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}
