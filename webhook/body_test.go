package webhook_test

import (
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"

	"github.com/driftsdk/drift/webhook"
)

func TestDeliveryMediaType(t *testing.T) {
	t.Run("w7_as_the_client_accepts_them", func(t *testing.T) {
		h := newHandler(t)
		for contentType, want := range map[string]int{
			"application/json; charset=utf8":        200,
			"application/json; charset=UTF8":        200,
			`application/json; charset="utf-8"`:     200,
			"application/json; charset=us-ascii":    200,
			"text/json":                             200,
			"Text/JSON; charset=utf-8":              200,
			"text/json; charset=iso-8859-1":         415,
			"application/json; charset=utf-16":      415,
			"application/json; charset=utf8-unsafe": 415,
			"text/jsonp":                            415,
			"text/html":                             415,
		} {
			assert.Equal(t, want, send(h, request(timed, "Content-Type", contentType)).StatusCode, contentType)
		}
	})
}

// stalled is a body that comes to size bytes and then waits.
type stalled struct {
	left    int
	release <-chan struct{}
}

func (s *stalled) Read(p []byte) (int, error) {
	if s.left == 0 {
		<-s.release
		return 0, io.EOF
	}
	n := min(len(p), s.left)
	s.left -= n
	return n, nil
}

// flood has a handler read so many bodies at a time, and returns how often each status was answered and how much the
// heap grew, garbage included.
func flood(t *testing.T, h http.Handler, bodies, size int, announced bool, header ...string) (map[int]int, uint64) {
	t.Helper()
	answers := map[int]int{}
	var before, during runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var mu sync.Mutex
		var group sync.WaitGroup
		for range bodies {
			group.Go(func() {
				r := request("", header...)
				r.Body, r.ContentLength = io.NopCloser(&stalled{left: size, release: release}), -1
				if announced {
					r.ContentLength = int64(size)
				}
				status := send(h, r).StatusCode
				mu.Lock()
				defer mu.Unlock()
				answers[status]++
			})
		}
		synctest.Wait()
		runtime.ReadMemStats(&during)
		close(release)
		group.Wait()
	})
	return answers, max(during.HeapAlloc, before.HeapAlloc) - before.HeapAlloc
}

func TestDeliveryMemory(t *testing.T) {
	for name, announced := range map[string]bool{"w4_bodies_of_strangers": true, "w4_bodies_without_a_length": false} {
		t.Run(name, func(t *testing.T) {
			h := newHandler(t)
			answers, used := flood(t, h, 1000, 1<<20, announced, "X-Verification-Token", "")
			assert.LessOrEqual(t, used, uint64(64<<20))
			assert.Equal(t, 1000, answers[401]+answers[503], "%v", answers)
			assert.Positive(t, answers[401], "some are read")
			assert.Positive(t, answers[503], "and the others refused")
			assert.Equal(t, 200, status(h, timed), "what was read is given back")
			answers, _ = flood(t, h, 1, 1<<20, announced, "X-Verification-Token", "")
			assert.Equal(t, map[int]int{401: 1}, answers)
		})
	}

	t.Run("w4_bodies_with_the_token", func(t *testing.T) {
		answers, used := flood(t, newHandler(t), 1000, 1<<20, true)
		assert.LessOrEqual(t, used, uint64(128<<20))
		assert.Equal(t, 1000, answers[400]+answers[503], "%v", answers)
		assert.Positive(t, answers[503])
	})

	t.Run("w4_strangers_leave_room_for_the_token", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHandler(t)
			release := make(chan struct{})
			for range 2048 {
				r := request("", "X-Verification-Token", "")
				r.Body, r.ContentLength = io.NopCloser(&stalled{left: 1, release: release}), 4<<10-1
				go send(h, r)
			}
			synctest.Wait()
			refused := send(h, request(`{"token":"`+testToken+`","type":"a"}`, "X-Verification-Token", ""))
			assert.Equal(t, 503, refused.StatusCode)
			assert.NotEmpty(t, refused.Header.Get("Retry-After"))
			assert.Equal(t, 200, status(h, timed))
			close(release)
			synctest.Wait()
			again := send(h, request(`{"token":"`+testToken+`","type":"a"}`, "X-Verification-Token", ""))
			assert.Equal(t, 200, again.StatusCode)
		})
	})

	t.Run("w4_a_large_limit_has_room", func(t *testing.T) {
		h := newHandler(t, webhook.WithMaxBodyBytes(100<<20))
		body := timed + strings.Repeat(" ", 60<<20)
		assert.Equal(t, 200, status(h, body))
		answer := send(h, request(`{"token":"`+testToken+`","type":"a"}`+body[len(timed):], "X-Verification-Token", ""))
		assert.Equal(t, 200, answer.StatusCode)
	})
}

// onRead is a body that calls a function before it is read.
type onRead struct {
	do   func()
	text string
}

func (o *onRead) Read(p []byte) (int, error) {
	o.do()
	n := copy(p, o.text)
	o.text = o.text[n:]
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (o *onRead) Close() error { return nil }
