package redisstore

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"

	"github.com/driftsdk/drift/internal/wire"
)

// Reasons why a store cannot be used. errors.Is finds them in an [*Error], and in a client's error, whose text includes
// them.
var (
	// ErrAway: Redis did not answer in time, refused the connection, or is starting or failing
	// over. Calls fail until it is back, or go by a local share: see FallBack.
	ErrAway error = wire.Reason("Redis does not answer")

	// ErrFull: Redis has reached its maxmemory. Nothing was changed.
	ErrFull error = wire.Reason("Redis is out of memory")

	// ErrReadOnly: the server is a replica, or accepts no writes at present. Connect to the master.
	ErrReadOnly error = wire.Reason("Redis is read-only")

	// ErrDenied: Redis refused the password, or the user may not run what the store needs: EVALSHA,
	// EVAL and the commands in them, on the keys drift:*.
	ErrDenied error = wire.Reason("Redis denies access")

	// ErrUnusable: Redis refuses the scripts, or holds something else under the store's keys. It
	// needs at least Redis 5.0, and a proxy in between must pass on EVALSHA and EVAL.
	ErrUnusable error = wire.Reason("Redis cannot run the store's scripts")

	// ErrTimeZone: another process counts the calls of the account by months of another time zone;
	// see WithLocation.
	ErrTimeZone error = wire.Reason("another process uses another time zone")

	// ErrLockLost: another process has taken the lock of the tokens since, because this one did not
	// renew it in time. That process may have refreshed the token, so nothing was saved.
	ErrLockLost error = wire.Reason("the lock of the tokens was lost")

	// ErrCorrupt: the value stored as a token is not one. Save another, or nil; then a person has
	// to authorize again.
	ErrCorrupt error = wire.Reason("the stored token is damaged")
)

// Error reports a store that cannot be used. errors.Is finds the reason in it. Its text has the address of Redis, and
// never a key's value, a token or a password.
type Error struct {
	Addr   string // of Redis, as the client was configured
	Reason error  // one of this package's
	detail string
	err    error
}

func (e *Error) Error() string {
	text := "redisstore: " + e.Addr + ": " + e.Reason.Error()
	if e.detail != "" {
		text += " (" + e.detail + ")"
	}
	return text
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Reason }

// As finds target in the error of the Redis client. Its text may quote what was sent: do not log it.
func (e *Error) As(target any) bool { return e.err != nil && errors.As(e.err, target) }

// Temporary reports whether the same call may succeed soon, so that a client retries it.
func (e *Error) Temporary() bool { return e.Reason == ErrAway || e.Reason == ErrReadOnly }

// Format writes the text for every verb.
func (e *Error) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, e.Error()) }

// LogValue returns the text.
func (e *Error) LogValue() slog.Value { return slog.StringValue(e.Error()) }

// wrap says why an error of the Redis client keeps the store from being used.
func wrap(addr string, err error) *Error {
	e := &Error{Addr: addr, Reason: ErrAway, err: err}
	var reply redis.Error
	var network net.Error
	switch {
	case redis.IsAuthError(err) || redis.IsPermissionError(err):
		e.Reason = ErrDenied
	case redis.IsOOMError(err) || redis.HasErrorPrefix(err, "MISCONF"):
		e.Reason = ErrFull
		if !redis.IsOOMError(err) {
			e.Reason, e.detail = ErrReadOnly, "it cannot save to its disk"
		}
	case redis.IsReadOnlyError(err):
		e.Reason = ErrReadOnly
	case redis.IsLoadingError(err):
		e.detail = "it is starting"
	case redis.IsClusterDownError(err) || redis.IsMasterDownError(err) || redis.IsTryAgainError(err) ||
		redis.IsMaxClientsError(err) || redis.IsNoReplicasError(err) || redis.HasErrorPrefix(err, "BUSY"):
		e.detail = "it is busy or failing over"
	case errors.As(err, &reply):
		e.Reason, e.detail = ErrUnusable, code(reply)
	case errors.Is(err, syscall.ECONNREFUSED):
		e.detail = "connection refused"
	case errors.As(err, &network) && network.Timeout():
		e.detail = "timeout"
	}
	return e
}

// code returns the first word of an error of Redis, such as WRONGTYPE. What follows may quote keys.
func code(reply redis.Error) string {
	word, _, _ := strings.Cut(reply.Error(), " ")
	if word == "" || strings.Trim(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return ""
	}
	return word
}
