//go:build nightly

package prism

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/conformance"
)

func TestPrism(t *testing.T) {
	folder := install(t)
	for name, flags := range map[string][]string{
		"examples": nil,
		"made up":  {"--dynamic", "--seed", "drift"},
	} {
		t.Run(name, func(t *testing.T) {
			mock := start(t, folder, flags...)
			client := newClient(t, mock.url)
			for _, call := range conformance.Calls() {
				mock.check(t, client, call)
			}
			assert.Empty(t, mock.complaints())
			mock.checkRefusals(t, client)
		})
	}
}

func newClient(t *testing.T, url string) *drift.Client {
	t.Helper()
	client, err := drift.NewClient(drift.WithBaseURL(url), drift.WithToken("token"), drift.WithoutRetry(),
		drift.WithHTTPClient(&http.Client{Transport: asked{}}))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

// asked puts into an answer the id that the call asked for: Prism makes one up, and the client refuses another record.
type asked struct{}

func (asked) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusCreated {
		return resp, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	body = withID(body, req)
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return resp, nil
}

func withID(body []byte, req *http.Request) []byte {
	var answer map[string]json.RawMessage
	var record map[string]json.RawMessage
	if json.Unmarshal(body, &answer) != nil || json.Unmarshal(answer["data"], &record) != nil {
		return body
	}
	last := path.Base(req.URL.Path)
	if _, err := strconv.Atoi(last); err == nil {
		record["id"] = json.RawMessage(last)
	}
	if last == "messages" { // repeats the conversation and the key, if it has them
		delete(record, "conversation_id")
		delete(record, "client_message_id")
	}
	answer["data"], _ = json.Marshal(record)
	body, _ = json.Marshal(answer)
	return body
}

// install puts Prism into a folder of the test's own: a tree with node_modules in it would be searched for Go packages.
func install(t *testing.T) string {
	t.Helper()
	for _, program := range []string{"node", "npm"} {
		_, err := exec.LookPath(program)
		require.NoError(t, err, "the nightly tests need %s", program)
	}
	folder := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json"} {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), data, 0o600))
	}
	npm := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	npm.Dir = folder
	output, err := npm.CombinedOutput()
	require.NoError(t, err, "npm ci: %s", output)
	return folder
}

// mock is a Prism that answers from the document.
type mock struct {
	url  string
	log  *logBuffer
	done chan error
}

func start(t *testing.T, folder string, flags ...string) *mock {
	t.Helper()
	document, err := filepath.Abs("../../testdata/openapi.yaml")
	require.NoError(t, err)
	host, port := freePort(t)
	program := filepath.Join(folder, "node_modules", "@stoplight", "prism-cli", "dist", "index.js")
	args := append([]string{program, "mock", "--errors", "--host", host, "--port", port}, flags...)
	command := exec.CommandContext(t.Context(), "node", append(args, document)...)
	m := &mock{url: "http://" + net.JoinHostPort(host, port), log: &logBuffer{}, done: make(chan error, 1)}
	command.Stdout, command.Stderr = m.log, m.log
	require.NoError(t, command.Start())
	go func() { m.done <- command.Wait() }()
	t.Cleanup(func() {
		_ = command.Process.Kill()
		<-m.done
	})
	m.wait(t)
	return m
}

func freePort(t *testing.T) (host, port string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	host, port, err = net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	return host, port
}

func (m *mock) wait(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if strings.Contains(m.log.String(), "Prism is listening") {
			return
		}
		select {
		case err := <-m.done:
			m.done <- err // for the cleanup
			require.NoError(t, err, "Prism ended: %s", m.log)
		default:
		}
	}
	require.Fail(t, "Prism does not listen", m.log.String())
}

// check makes a call and looks for what Prism and the SDK did not know.
func (m *mock) check(t *testing.T, client *drift.Client, call conformance.Call) {
	t.Helper()
	var response drift.Response
	result, err := call.Do(t.Context(), client.With(drift.WithResponse(&response)))
	if !assert.NoError(t, err, "%s: %s", call.Operation, response.Body) {
		return
	}
	assert.Empty(t, response.Header.Get("Sl-Violations"), call.Operation)
	if result == nil {
		assert.Equal(t, http.StatusNoContent, response.StatusCode, call.Operation)
		return
	}
	assert.Empty(t, unknownFields(reflect.ValueOf(result)), call.Operation)
}

// complaints are the lines of Prism's log that tell of trouble. That a 204 has no content is none.
func (m *mock) complaints() []string {
	var found []string
	for line := range strings.Lines(m.log.String()) {
		trouble := strings.Contains(line, " error ") || strings.Contains(line, " warning ")
		if trouble && !strings.Contains(line, "Unable to find content") {
			found = append(found, line)
		}
	}
	return found
}

// checkRefusals shows that Prism does look at requests.
func (m *mock) checkRefusals(t *testing.T, client *drift.Client) {
	t.Helper()
	for _, request := range []drift.Request{
		{Method: "POST", Path: "v2/contacts", Body: map[string]any{"backgroundMode": true}},
		{Method: "POST", Path: "v2/contacts", Body: map[string]any{"users": []string{"x"}}},
		{Path: "v2/contacts/{id}", Values: map[string]string{"id": "x"}},
	} {
		assert.ErrorIs(t, client.Do(t.Context(), request, nil), drift.ErrInvalid)
	}
	assert.NotEmpty(t, m.complaints())
}

// open are the types of objects inside records, to which Prism adds members of its choice. A participant is one in a meeting.
var open = []reflect.Type{
	reflect.TypeFor[drift.Attachment](), reflect.TypeFor[drift.Author](), reflect.TypeFor[drift.Button](),
	reflect.TypeFor[drift.ButtonReaction](), reflect.TypeFor[drift.MessageContext](), reflect.TypeFor[drift.Participant](),
}

// unknownFields lists where a record kept a field that its type does not have.
func unknownFields(v reflect.Value) []string {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return unknownFields(v.Elem())
		}
	case reflect.Slice:
		var found []string
		for i := range v.Len() {
			found = append(found, unknownFields(v.Index(i))...)
		}
		return found
	case reflect.Struct:
		return unknownIn(v)
	}
	return nil
}

func unknownIn(v reflect.Value) []string {
	var found []string
	for _, field := range reflect.VisibleFields(v.Type()) {
		switch value := v.FieldByIndex(field.Index); {
		case field.Name == "Extra" && !slices.Contains(open, v.Type()):
			for _, key := range value.MapKeys() {
				found = append(found, fmt.Sprintf("%s.%s", v.Type(), key))
			}
		case field.IsExported():
			found = append(found, unknownFields(value)...)
		}
	}
	return found
}

// logBuffer is written by one goroutine and read by another.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
