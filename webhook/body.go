package webhook

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// How much memory the bodies that are being read may take, over all requests. Senders that have not shown the token
// share a part of their own, so that they cannot keep away those that have. A part has room for one body at least.
const (
	roomForKnown     = 32 << 20
	roomForStrangers = 8 << 20

	smallestBuffer = 1 << 10
)

// room is memory for bodies.
type room struct {
	mu   sync.Mutex
	left int64
}

func newRoom(size, maxBody int64) *room { return &room{left: max(size, maxBody+1)} }

// take reports whether there was room for n bytes.
func (r *room) take(n int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n > r.left {
		return false
	}
	r.left -= n
	return true
}

func (r *room) giveBack(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left += n
}

var errNoRoom = errors.New("too many bodies are being read")

// readBody returns what came, even with an error. The buffer has the size that the Content-Length announces, and the
// room for it is free again when readBody's caller calls done.
func (h *Handler) readBody(w http.ResponseWriter, r *http.Request, room *room) (body []byte, done func(), err error) {
	source := r.Body
	if source == nil { // of a request that no server read
		source = http.NoBody
	}
	source = http.MaxBytesReader(w, source, h.maxBody)
	var taken int64
	done = func() { room.giveBack(taken) }
	size := min(max(r.ContentLength, smallestBuffer), roomForStrangers, h.maxBody) + 1 // with a byte to find the end
	for {
		if !room.take(size - taken) {
			return body, done, errNoRoom
		}
		taken = size
		body = append(make([]byte, 0, size), body...)
		if full, err := fill(&body, source); !full {
			return body, done, err
		}
		size = min(2*size, h.maxBody+1)
	}
}

// fill reads until the buffer is full, or to the end.
func fill(buffer *[]byte, source io.Reader) (full bool, err error) {
	b := *buffer
	defer func() { *buffer = b }()
	for len(b) < cap(b) {
		n, err := source.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

// refuseBody is the answer to a body that was not read to its end.
func refuseBody(err error) answer {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.Is(err, errNoRoom):
		return refuse(http.StatusServiceUnavailable, errNoRoom)
	case errors.As(err, &tooLarge):
		return refuse(http.StatusRequestEntityTooLarge, errors.New("the body is too long"))
	case errors.Is(err, os.ErrDeadlineExceeded):
		return refuse(http.StatusRequestTimeout, errors.New("the body did not come in time"))
	default:
		return refuse(http.StatusBadRequest, errors.New("the body broke off"))
	}
}

// isJSON accepts a delivery without a media type: it is not documented which one Drift sends.
func isJSON(header http.Header) bool {
	if encoding := header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return false
	}
	contentType := header.Get("Content-Type")
	if contentType == "" {
		return true
	}
	media, parameters, err := mime.ParseMediaType(contentType)
	if err != nil {
		return false
	}
	switch strings.ToLower(parameters["charset"]) {
	case "", "utf-8", "utf8", "us-ascii":
	default:
		return false
	}
	suffixed := strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json")
	return media == "application/json" || media == "text/json" || suffixed
}

// limitReading sets a deadline for the body. It holds for a refused body too, which the server reads to find the next
// request. After a body that was read it must be lifted, or it would end the request's context while the delivery is
// handled.
func (h *Handler) limitReading(w http.ResponseWriter, r *http.Request) (unlimited func()) {
	timeout := h.bodyTimeout(r)
	if timeout == 0 {
		return func() {}
	}
	controller := http.NewResponseController(w)
	if controller.SetReadDeadline(time.Now().Add(timeout)) != nil {
		return func() {}
	}
	return func() { _ = controller.SetReadDeadline(time.Time{}) }
}

// bodyTimeout is 0 if the server has a timeout of its own.
func (h *Handler) bodyTimeout(r *http.Request) time.Duration {
	if h.readTimeout > 0 {
		return h.readTimeout
	}
	if server, ok := r.Context().Value(http.ServerContextKey).(*http.Server); ok && server.ReadTimeout > 0 {
		return 0
	}
	return DefaultReadTimeout
}
