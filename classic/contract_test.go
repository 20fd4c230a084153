package classic_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
	"github.com/driftsdk/drift/internal/testkit"
)

func TestMethodsAreTheCatalogue(t *testing.T) {
	var got, want []string
	for service, methods := range testkit.ClassicServices() {
		for method := range methods.Methods() {
			got = append(got, service+"."+method.Name)
		}
	}
	for _, op := range testkit.ClassicCatalogue(t) {
		for _, call := range op.Calls {
			want = append(want, call.Service+"."+call.Method)
		}
	}
	assert.ElementsMatch(t, want, got)
}

// Every method takes a context, the arguments that the catalogue names, and call options. Only ListByEmail has options
// that the catalogue calls opts, like the others.
func TestMethodSignatures(t *testing.T) {
	for _, op := range testkit.ClassicCatalogue(t) {
		for _, call := range op.Calls {
			method, found := testkit.ClassicServices()[call.Service].MethodByName(call.Method)
			require.True(t, found)
			signature := method.Type
			if assert.Equal(t, len(call.Arguments)+1, signature.NumIn(), "arguments of %s.%s", call.Service, call.Method) {
				assert.Equal(t, reflect.TypeFor[context.Context](), signature.In(0))
				assert.Equal(t, reflect.TypeFor[[]drift.CallOption](), signature.In(signature.NumIn()-1))
				assert.True(t, signature.IsVariadic())
			}
		}
	}
}

// goldenCall is a call of one operation with every parameter set. It returns the record, the list, or the page.
type goldenCall func(ctx context.Context, c *classic.Client) (any, error)

func instant(seconds int64) time.Time { return time.UnixMilli(1767225600123 + 1000*seconds).UTC() }

// goldenCalls has one call for every operation. The calls stand in the test files of the resources.
func goldenCalls() map[string]goldenCall {
	calls := map[string]goldenCall{}
	for _, resource := range []map[string]goldenCall{
		contactCalls, userCalls, meetingCalls, conversationCalls, messageCalls, attachmentCalls, accountCalls,
		playbookCalls, teamCalls, appCalls, gdprCalls, scimCalls, reportCalls,
	} {
		maps.Copy(calls, resource)
	}
	return calls
}

// pageOf is a page whose item type is of no interest.
type pageOf struct {
	Items any
	Next  string
}

func page[T any](p *drift.Page[T], err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return pageOf{p.Items, p.Next}, nil
}

// Each operation is answered as documented, in another shape that is accepted, and with everything odd at once.
func TestGolden(t *testing.T) {
	calls := goldenCalls()
	for _, op := range testkit.ClassicCatalogue(t) {
		name := strings.TrimPrefix(op.Name, "classic.")
		t.Run(name, func(t *testing.T) {
			call, ok := calls[name]
			require.True(t, ok, "no call of this operation")
			documented := goldenExchange(t, op, "documented", call)
			testkit.CompareGolden(t, goldenFolder(op), "record.golden", testkit.Indented(t, documented))
			record := reflect.ValueOf(documented)
			if page, ok := documented.(pageOf); ok {
				record = reflect.ValueOf(page.Items)
			}
			testkit.AssertEveryField(t, record)
			for _, form := range []string{"other", "odd"} {
				record := goldenExchange(t, op, form, call)
				assert.Equal(t, string(testkit.Indented(t, documented)), string(testkit.Indented(t, record)), form)
			}
		})
	}
	assert.Len(t, calls, len(testkit.ClassicCatalogue(t)), "no call of another operation")
}

func goldenFolder(op testkit.Operation) string {
	return filepath.Join("..", "testdata", "classic", strings.TrimPrefix(op.Name, "classic."))
}

// goldenExchange makes a call that is answered in one of the accepted forms.
func goldenExchange(t *testing.T, op testkit.Operation, form string, call goldenCall) any {
	t.Helper()
	var request []byte
	client := testkit.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		request = testkit.RequestText(t, r)
		w.Header().Set("Content-Type", contentTypes[op.Answer])
		_, _ = w.Write(testkit.GoldenFile(t, goldenFolder(op), form+".json"))
	})
	result, err := call(t.Context(), classic.New(client))
	require.NoError(t, err, form)
	testkit.CompareGolden(t, goldenFolder(op), "request.golden", request)
	assertParameters(t, op, request)
	return result
}

var contentTypes = map[string]string{
	"ok": "application/json", "text": "text/plain", "bytes": "application/pdf",
	"data-object": "application/json", "data-list": "application/json", "data-map": "application/json",
	"bare-object": "application/scim+json", "bare-list": "text/plain",
}

// missing are parameters that a call does not send: beside another one, or because the client does not offer them.
var missing = map[string][]string{
	"classic.contacts.createTimelineEvent": {"externalId"},
	"classic.contacts.listByExternalId":    {"limit"},
}

// assertParameters holds the names that a request sent against the catalogue: all of them, and no others.
func assertParameters(t *testing.T, op testkit.Operation, request []byte) {
	t.Helper()
	head, body, _ := bytes.Cut(request, []byte("\n\n"))
	uri, err := url.Parse(strings.Fields(string(head))[1])
	require.NoError(t, err)
	sent := slices.Collect(maps.Keys(uri.Query()))
	if len(body) > 0 {
		var value any
		require.NoError(t, json.Unmarshal(body, &value))
		sent = append(sent, names(value)...)
	}
	var want []string
	for _, name := range op.Parameters {
		if name == "[email]" || name == "[name]" { // a list of texts
			continue
		}
		if name = strings.Trim(name, "[]{}"); !slices.Contains(missing[op.Name], name) {
			want = append(want, name)
		}
	}
	slices.Sort(want)
	slices.Sort(sent)
	assert.Equal(t, want, slices.Compact(sent))
}

// names lists the members of a body as the catalogue does: those of the members message, filters and metrics with a dot,
// and those of a list of objects.
func names(body any) (found []string) {
	switch body := body.(type) {
	case []any:
		for _, item := range body {
			if _, text := item.(string); text {
				return nil
			}
			found = append(found, names(item)...)
		}
	case map[string]any:
		for name, value := range body {
			inner := names(value)
			if !slices.Contains([]string{"message", "filters", "metrics"}, name) || inner == nil {
				found = append(found, name)
				continue
			}
			for _, member := range inner {
				found = append(found, name+"."+member)
			}
		}
	}
	return found
}

// answering returns a client whose calls all get this answer.
func answering(t testing.TB, body string, opts ...drift.Option) *classic.Client {
	return classic.New(testkit.AnsweringClient(t, http.StatusOK, body, opts...))
}

// recording returns a client whose calls all get this answer, and where their requests are.
func recording(t testing.TB, body string) (*classic.Client, *[]string) {
	t.Helper()
	var requests []string
	client := testkit.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		sent, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		requests = append(requests, strings.TrimSpace(fmt.Sprint(r.Method, " ", r.RequestURI, " ", string(sent))))
		testkit.Respond(http.StatusOK, body)(w, r)
	})
	return classic.New(client), &requests
}

// requireInvalid checks that a call was refused because of an argument.
func requireInvalid(t testing.TB, err error, argument string) {
	t.Helper()
	var invalid *drift.ValidationError
	require.ErrorAs(t, err, &invalid)
	assert.Equal(t, argument, invalid.Argument)
	assert.True(t, strings.HasPrefix(invalid.Operation, "classic."), invalid.Operation)
}
