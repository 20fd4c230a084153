package drift

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/driftsdk/drift/internal/answer"
)

const (
	maxErrorBody     = 64 << 10
	maxKeptBuffer    = 4 << 20
	maxTrustedLength = 2 << 20 // allocated in advance for a Content-Length
	maxDrained       = 1 << 20
	drainTimeout     = time.Second
)

// buffers hold bodies. The garbage collector takes those of huge answers, and those of bodies that failed: a read that
// was abandoned when the context ended may still write to its buffer.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func (a *attempt) free() {
	if a.whole && a.buffer.Cap() <= maxKeptBuffer {
		a.buffer.Reset()
		buffers.Put(a.buffer)
	}
	a.buffer, a.whole = nil, false
}

func (a *attempt) body() []byte {
	if a.buffer == nil {
		return nil
	}
	return bytes.TrimPrefix(a.buffer.Bytes(), []byte("\ufeff"))
}

// read reads the body to its end, so that the connection can be used again.
func (a *attempt) read(
	caller context.Context, resp *http.Response, timer *time.Timer, end context.CancelCauseFunc,
) error {
	if resp.StatusCode/100 == 1 { // a body of a 1xx does not end with the context
		return unusable(KindUnexpectedContent, errStatus, strconv.Itoa(resp.StatusCode), "")
	}
	if redirects(resp.StatusCode) {
		drain(resp.Body, end)
		return unusable(KindUnexpectedContent, errRedirect, "status "+strconv.Itoa(resp.StatusCode), hintBaseURL)
	}
	limit, success := int64(maxErrorBody), a.success(resp.StatusCode)
	if success && a.in.Writer != nil {
		timer.Stop()
		return a.stream(resp, end)
	}
	if success {
		limit = a.bodyLimit()
	}
	if success && a.needsBody() && resp.ContentLength > limit && a.route.Method != http.MethodHead {
		return errLarge()
	}
	n, err := a.fill(resp, limit)
	switch {
	case !success: // the status is enough even if the body fails, unless the caller's context has ended
		if n > limit && err == nil && resp.ContentLength <= limit+maxDrained {
			drain(resp.Body, end)
		}
		a.buffer.Truncate(int(min(n, limit)))
		if err != nil && caller.Err() != nil {
			return err
		}
		return nil
	case !a.needsBody():
		if err != nil && a.decode != nil {
			a.buffer = nil // a part of a body says nothing
		}
		return nil
	case err != nil:
		a.broken = true
		return err
	case n > limit:
		return errLarge()
	}
	return a.checkContent(resp.Header)
}

// needsBody reports whether the call fails without a whole body.
func (c *call) needsBody() bool { return c.decode != nil && !c.in.AnyBody }

// bodyLimit returns the largest size of an answer in bytes.
func (a *attempt) bodyLimit() int64 {
	switch {
	case a.options.maxBody > 0:
		return a.options.maxBody
	case a.in.Writer != nil:
		return math.MaxInt64 - 1
	default:
		return DefaultMaxResponseBytes
	}
}

// fill reads the body into the buffer, up to one byte more than the limit.
func (a *attempt) fill(resp *http.Response, limit int64) (int64, error) {
	a.buffer = buffers.Get().(*bytes.Buffer)
	if n := resp.ContentLength; n > 0 && n <= limit {
		a.buffer.Grow(int(min(n, maxTrustedLength)) + bytes.MinRead)
	}
	n, err := a.buffer.ReadFrom(io.LimitReader(resp.Body, limit+1))
	a.whole = err == nil
	return n, err
}

// drain reads the rest of an unwanted answer, so that the connection can be reused. It reads at most maxDrained bytes;
// beyond that, a new connection is cheaper.
func drain(body io.Reader, end context.CancelCauseFunc) {
	late := time.AfterFunc(drainTimeout, func() { end(nil) })
	defer late.Stop()
	_, _ = io.CopyN(io.Discard, body, maxDrained)
}

func redirects(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// checkContent rejects an answer that cannot be decoded.
func (a *attempt) checkContent(header http.Header) error {
	err := answer.CheckEncoding(header)
	if err == nil && !a.in.AnyContent {
		err = answer.CheckJSON(header, a.body())
	}
	if err != nil {
		return unusable(KindUnexpectedContent, ErrUnexpectedContent, err.Error(), hintContent)
	}
	return nil
}

// stream copies the body to the caller's writer as it arrives. A writer cannot be rewound, so after the first byte a
// failure ends the call, unless the next attempt can ask for the rest. The attempt's timeout applies to each read, not
// to the whole body.
func (a *attempt) stream(resp *http.Response, end context.CancelCauseFunc) error {
	if err := a.checkContent(resp.Header); err != nil {
		return err
	}
	if err := a.resume.open(resp); err != nil {
		return err
	}
	limit, before := a.bodyLimit()-a.resume.written, a.resume.written
	if resp.ContentLength > limit && a.route.Method != http.MethodHead {
		return errLarge()
	}
	silence := time.AfterFunc(a.timeout, func() { end(errSilent) })
	body := &heardBody{body: resp.Body, patience: a.timeout, silence: silence}
	defer body.silence.Stop()
	n, err := io.Copy(a.in.Writer, io.LimitReader(body, limit))
	a.resume.written = before + n
	more := err == nil && n == limit && body.goesOn()
	switch {
	case body.failed != nil:
		a.resume.written = before + body.read // the count of a writer's own ReadFrom may be too low
		a.broken = a.resume.written == 0 || a.in.Resume && a.resume.possible()
		return body.failed
	case err == nil && more:
		return errLarge()
	case err == nil && !body.ended: // a ReadFrom that stopped early
		err = io.ErrShortWrite
	}
	a.writerErr = err
	return err
}

// writerError returns the error of a call whose writer failed.
func (c *call) writerError(err error) error {
	return fmt.Errorf("drift: %s: cannot write the answer: %w", c.route.Name, err)
}

// heardBody ends the attempt when a read takes too long. The time that the writer needs does not count.
type heardBody struct {
	body     io.Reader
	patience time.Duration
	silence  *time.Timer // ends the attempt

	read   int64
	ended  bool
	failed error // of a read; io.Copy also returns errors of the writer
}

func (b *heardBody) Read(p []byte) (int, error) {
	b.silence.Reset(b.patience)
	defer b.silence.Stop()
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
	b.read = before // the writer did not get it
	return goesOn
}
