package testkit

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
)

// Values that only the caller and the service may see.
const (
	MarkedToken   = "mark-token+/5e1d=="
	MarkedHeader  = "mark-header-5e1d"
	MarkedQuery   = "mark-query-5e1d"
	MarkedPath    = "mark-path-5e1d"
	MarkedBody    = "mark-body-5e1d"
	MarkedAnswer  = "mark-answer-5e1d"
	MarkedAddress = "mark-address-5e1d@example.com"
	MarkedBase    = "mark-base-5e1d"
	MarkedSecret  = "mark-secret-5e1d"
	MarkedPrefix  = "mark-"
)

var secretVerbs = []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"}

// SecretWatch looks for marks in everything that is written to it or shown to it.
type SecretWatch struct {
	Every int // look at one value in so many; 0: at all of them

	mu    sync.Mutex
	seen  int
	shown int
	leak  string // the first text in which a marker shows
}

func (w *SecretWatch) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shown += len(p)
	if w.leak == "" && ShowsMark(p) {
		w.leak = string(p)
	}
	return len(p), nil
}

// markedForms are the forms in which a mark can show: plain, and as fmt and encoding/json write bytes.
var markedForms = func() (forms [][]byte) {
	inHex := hex.EncodeToString([]byte(MarkedPrefix))
	inDecimal := strings.Trim(fmt.Sprint([]byte(MarkedPrefix)), "[]")
	for _, form := range []string{MarkedPrefix, inHex, strings.ToUpper(inHex), inDecimal} {
		forms = append(forms, []byte(form))
	}
	for before := range 3 { // base64 depends on how many bytes come before
		padded := strings.Repeat("\x00", before) + MarkedPrefix + "\x00\x00"
		inBase64 := base64.StdEncoding.EncodeToString([]byte(padded))
		whole := (before*8 + 5) / 6
		forms = append(forms, []byte(inBase64[whole:whole+len(MarkedPrefix)*8/6-1]))
	}
	return forms
}()

// ShowsMark reports whether a text shows a mark.
func ShowsMark(text []byte) bool {
	return slices.ContainsFunc(markedForms, func(form []byte) bool { return bytes.Contains(text, form) })
}

// Show writes a value in every way in which programs write values.
func (w *SecretWatch) Show(value any) {
	if w.skips() {
		return
	}
	for _, verb := range secretVerbs {
		fmt.Fprintf(w, verb+"\n", value)
		fmt.Fprintf(w, verb+"\n", []any{value})
	}
	encoded, _ := json.Marshal(value)
	fmt.Fprintf(w, "%s\n", encoded)
	if v := reflect.ValueOf(value); v.Kind() != reflect.Pointer || !v.IsNil() { // gob panics on a nil pointer
		_ = gob.NewEncoder(w).Encode(value)
	}
	slog.New(slog.NewJSONHandler(w, nil)).Info("x", "value", value)
	slog.New(slog.NewTextHandler(w, nil)).Info("x", "value", value)
}

func (w *SecretWatch) skips() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen++
	return w.Every > 1 && w.seen%w.Every != 0
}

// ShowError shows an error and everything that it wraps.
func (w *SecretWatch) ShowError(err error) {
	if err == nil {
		return
	}
	w.Show(err)
	switch err := err.(type) {
	case interface{ Unwrap() error }:
		w.ShowError(err.Unwrap())
	case interface{ Unwrap() []error }:
		for _, inner := range err.Unwrap() {
			w.ShowError(inner)
		}
	}
}

// Options make a client show the watch what it logs and what its hooks get.
func (w *SecretWatch) Options() []drift.Option {
	everything := &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}
	return []drift.Option{
		drift.WithHeader("X-Marked", MarkedHeader), Impatient(),
		drift.WithLogger(slog.New(slog.NewJSONHandler(w, everything))),
		drift.WithPlan(10), // so that the warnings about the month are logged too
		drift.WithHooks(drift.Hooks{
			Start: func(ctx context.Context, i drift.RequestInfo) context.Context {
				w.Show(i)
				return ctx
			},
			StartAttempt: func(ctx context.Context, i drift.RequestInfo, _ int) context.Context {
				w.Show(i)
				return ctx
			},
			Attempt:  func(i drift.AttemptInfo) { w.Show(i); w.ShowError(i.Err) },
			Wait:     func(i drift.WaitInfo) { w.Show(i) },
			Waiting:  func(i drift.WaitInfo) { w.Show(i) },
			Response: func(i drift.ResponseInfo) { w.Show(i); w.ShowError(i.Err) },
			Quota:    func(u drift.Usage) { w.Show(u) },
		}),
	}
}

// Found returns a text in which a marker shows.
func (w *SecretWatch) Found() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.leak
}

// Check fails the test if a mark was shown, or nothing at all.
func (w *SecretWatch) Check(t testing.TB) {
	t.Helper()
	require.Empty(t, w.Found())
	require.NotZero(t, w.shown)
}

// QuotingError is an error that quotes a secret, as errors of net/url and of proxies do.
type QuotingError string

func (e QuotingError) Error() string { return string(e) }
