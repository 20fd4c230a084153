package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
)

func TestReport(t *testing.T) {
	log.SetFlags(0)
	t.Cleanup(func() { log.SetOutput(os.Stderr); log.SetFlags(log.LstdFlags) })
	pressed := errors.New("Ctrl-C")
	stopped, stop := context.WithCancelCause(context.Background())
	stop(pressed)
	maybeWritten := &drift.AmbiguousError{Err: context.Canceled}

	for name, test := range map[string]struct {
		ctx    context.Context
		err    error
		status int
		output string
	}{
		"done":                             {t.Context(), nil, 0, ""},
		"done when it was stopped":         {stopped, nil, 0, "Stopped.\n"},
		"failed":                           {t.Context(), errors.New("no"), 1, "no\n"},
		"wrong usage":                      {t.Context(), fmt.Errorf("start: %w", WrongUsage("no")), 2, "start: no\n"},
		"a port that is taken":             {t.Context(), fmt.Errorf("listen: %w", syscall.EADDRINUSE), 1, "listen: address already in use: choose another port, -h lists the flags\n"},
		"canceled by itself":               {t.Context(), context.Canceled, 1, "context canceled\n"},
		"stopped":                          {stopped, fmt.Errorf("list: %w", context.Canceled), 0, "Stopped.\n"},
		"stopped, with the cause":          {stopped, pressed, 0, "Stopped.\n"},
		"failed before it was stopped":     {stopped, errors.New("no"), 1, "no\n"},
		"stopped in the middle of a write": {stopped, maybeWritten, 0, maybeWritten.Error() + "\nStopped.\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var output bytes.Buffer
			log.SetOutput(&output)
			assert.Equal(t, test.status, report(test.ctx, test.err))
			assert.Equal(t, test.output, output.String())
		})
	}
}

func TestAskToWrite(t *testing.T) {
	assert.EqualError(t, AskToWrite("read", "write"), "With -write, this program does the following in the account of "+
		"DRIFT_TOKEN:\n  - read\n  - write\nNothing has been sent.")
}

func TestURL(t *testing.T) {
	for addr, url := range map[string]string{
		"0.0.0.0:80":     "http://127.0.0.1:80",
		"[::]:80":        "http://127.0.0.1:80",
		"[::1]:80":       "http://[::1]:80",
		"192.0.2.1:8080": "http://192.0.2.1:8080",
	} {
		listener, err := net.ResolveTCPAddr("tcp", addr)
		require.NoError(t, err)
		assert.Equal(t, url, URL(listener))
	}
}
