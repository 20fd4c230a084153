package drift

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"time"
)

// writerError is the error of the caller's writer.
type writerError struct{ err error }

func (e *writerError) Error() string { return e.err.Error() }
func (e *writerError) Unwrap() error { return e.err }

// named is the error that the caller gets.
func (e *writerError) named(operation string) error {
	return fmt.Errorf("drift: %s: cannot write the answer: %w", operation, e.err)
}

// stream copies the body to the caller's writer as it arrives. After the first byte a failure ends the call, because a
// writer cannot be rewound. The attempt's timeout applies to each read, not to the whole body.
func (c *call) stream(resp *http.Response, timer *attemptTimer, end context.CancelCauseFunc) error {
	if err := checkEncoding(resp); err != nil {
		return err
	}
	limit := c.bodyLimit()
	if resp.ContentLength > limit && c.route.method != http.MethodHead {
		return ErrTooLarge
	}
	body := &heardBody{body: resp.Body, timer: timer, end: end, after: c.timers.after}
	n, err := io.Copy(c.writer, io.LimitReader(body, limit))
	c.last.streamed = n
	more := err == nil && n == limit && body.goesOn()
	switch {
	case body.failed != nil:
		c.last.streamed = body.read // a writer with a ReadFrom of its own may not say how much it took
		c.last.broken = body.read == 0
		return body.failed
	case err != nil:
		return &writerError{err}
	case more:
		return ErrTooLarge
	case !body.ended: // a ReadFrom that stopped early
		return &writerError{io.ErrShortWrite}
	}
	return nil
}

// bodyLimit is the most bytes that an answer may have.
func (c *call) bodyLimit() int64 {
	switch {
	case c.options.maxBody > 0:
		return c.options.maxBody
	case c.writer != nil:
		return math.MaxInt64 - 1
	default:
		return DefaultMaxResponseBytes
	}
}

// heardBody ends the attempt when a read takes too long. The time that the writer takes does not count.
type heardBody struct {
	body  io.Reader
	timer *attemptTimer
	end   context.CancelCauseFunc
	after time.Duration

	read   int64
	ended  bool
	failed error // of a read; io.Copy also returns errors of the writer
}

func (b *heardBody) Read(p []byte) (int, error) {
	b.timer.arm(b.after, b.end, errSilent)
	defer b.timer.disarm()
	n, err := b.body.Read(p)
	b.read += int64(n)
	switch {
	case errors.Is(err, io.EOF):
		b.ended = true
	case err != nil:
		b.failed = err
	}
	return n, err
}

// goesOn reports whether another byte follows.
func (b *heardBody) goesOn() bool {
	before := b.read
	_, _ = io.ReadFull(b, make([]byte, 1))
	goesOn := b.read > before
	b.read = before // it was not handed over
	return goesOn
}
