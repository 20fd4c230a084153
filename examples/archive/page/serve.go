package page

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/driftsdk/drift/examples/archive/store"
)

// Serve serves the pages on 127.0.0.1 until the context ends. Port 0 is any free one. Serve calls ready with the
// address of the first page when it listens; the address contains the key, so do not log it.
func Serve(ctx context.Context, archive *store.Store, port int, notice string, ready func(address string)) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return err
	}
	key := NewKey()
	requests, cancel := context.WithCancel(ctx) // so that no query outlives the server
	defer cancel()
	server := &http.Server{
		Handler:           Handler(archive, key, notice),
		BaseContext:       func(net.Listener) context.Context { return requests },
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	ready("http://" + listener.Addr().String() + "/" + key + "/")
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	err = server.Close()
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
