package testkit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
)

// Operation is a line of a catalogue.
type Operation struct {
	Name, Method, Path string
	Parameters         []string
	Calls              []GoCall

	Answer string // of the classic API: the shape of the answer
	At     string // of the classic API: a pointer to the record or the list in the answer
}

// Classic reports whether the operation is one of package classic.
func (o Operation) Classic() bool { return o.Answer != "" }

// GoCall is a call that the catalogue names, such as Tags.Get(ctx, id).
type GoCall struct {
	Service, Method string
	Arguments       []string
}

// Catalogue reads testdata/operations.tsv.
func Catalogue(t testing.TB) []Operation {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(Root(t), "testdata", "operations.tsv"))
	require.NoError(t, err)
	var operations []Operation
	for line := range strings.Lines(string(text)) {
		columns := strings.Split(strings.TrimRight(line, "\n"), "\t")
		require.Len(t, columns, 5, line)
		if columns[0] != "operation" {
			operations = append(operations, Operation{
				Name: columns[0], Method: columns[1], Path: columns[2],
				Parameters: splitList(columns[3]), Calls: parseCalls(t, columns[4]),
			})
		}
	}
	return operations
}

// ClassicCatalogue reads testdata/classic.tsv. The operation that issues tokens is none of a client.
func ClassicCatalogue(t testing.TB) []Operation {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(Root(t), "testdata", "classic.tsv"))
	require.NoError(t, err)
	var operations []Operation
	for line := range strings.Lines(string(text)) {
		columns := strings.Split(strings.TrimRight(line, "\n"), "\t")
		require.Len(t, columns, 10, line)
		if columns[0] != "operation" && columns[0] != "oauth.token" {
			operations = append(operations, Operation{
				Name: "classic." + columns[0], Method: columns[1], Path: columns[2],
				Parameters: append(splitList(columns[3]), splitList(columns[4])...), Calls: parseCalls(t, columns[8]),
				Answer: columns[5], At: columns[9],
			})
		}
	}
	return operations
}

// Catalogues are both catalogues, that of package drift first.
func Catalogues(t testing.TB) []Operation {
	t.Helper()
	return append(Catalogue(t), ClassicCatalogue(t)...)
}

func splitList(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ", ")
}

var callPattern = regexp.MustCompile(`(\w*)\.(\w+)\(([^)]*)\)`)

// parseCalls reads the last column. A call without a service belongs to the one before it.
func parseCalls(t testing.TB, column string) []GoCall {
	t.Helper()
	var calls []GoCall
	for _, match := range callPattern.FindAllStringSubmatch(column, -1) {
		service := match[1]
		if service == "" {
			service = calls[0].Service
		}
		calls = append(calls, GoCall{service, match[2], splitList(match[3])})
	}
	require.NotEmpty(t, calls, column)
	return calls
}

// Services returns the service interfaces of a drift.Client by the name of their field.
func Services() map[string]reflect.Type { return servicesOf(reflect.TypeFor[drift.Client]()) }

// ClassicServices returns the service interfaces of a classic.Client by the name of their field.
func ClassicServices() map[string]reflect.Type { return servicesOf(reflect.TypeFor[classic.Client]()) }

func servicesOf(client reflect.Type) map[string]reflect.Type {
	found := map[string]reflect.Type{}
	for _, field := range reflect.VisibleFields(client) {
		if field.IsExported() && field.Type.Kind() == reflect.Interface {
			found[field.Name] = field.Type
		}
	}
	return found
}

// StructArguments returns the types of the requests and the options that a method takes.
func StructArguments(signature reflect.Type) []reflect.Type {
	var types []reflect.Type
	for in := range signature.Ins() {
		if in.Kind() == reflect.Struct {
			types = append(types, in)
		}
	}
	return types
}

// Invocation is a method of a service with valid arguments.
type Invocation struct {
	Service, Method string
	Index           int // of the method in the service's interface
	Arguments       []reflect.Value

	Operation Operation
	classic   bool
}

// Reads reports whether the operation changes nothing.
func (i Invocation) Reads() bool {
	return i.Operation.Method == http.MethodGet || ReadsByPost(i.Operation.Name)
}

// ReadsByPost reports whether an operation is a POST that changes nothing.
func ReadsByPost(operation string) bool {
	switch operation {
	case "classic.app.tokenInfo", "classic.reports.conversations", "classic.reports.conversationSummary":
		return true
	}
	return false
}

// Deletes reports whether the operation is a DELETE.
func (i Invocation) Deletes() bool { return i.Operation.Method == http.MethodDelete }

// TakesAnyBody reports whether any body of an answer is a success.
func (i Invocation) TakesAnyBody() bool {
	return i.Deletes() || i.Operation.Answer == "ok" || i.TakesAnyText()
}

// TakesAnyText reports whether the answer is a text or a file.
func (i Invocation) TakesAnyText() bool {
	return i.Operation.Answer == "text" || i.Operation.Answer == "bytes"
}

// Body is an answer that the operation accepts.
func (i Invocation) Body() string {
	const record = `{"id": "1", "accountId": "ada@example.com"}`
	switch {
	case i.AnswersList():
		return i.ListAnswer(record)
	case strings.HasPrefix(i.Operation.Name, "classic.scim."):
		return `{"id": "ada@example.com"}`
	case i.Operation.Name == "classic.reports.conversations":
		return `{"count": 1, "data": [{"conversationId": 1, "metrics": ["NaN"]}]}`
	case i.Operation.Name == "classic.conversations.stats":
		return `{"conversationCount": {"OPEN": 1}}`
	case i.Operation.Name == "classic.app.tokenInfo":
		return `{"authenticated_userid": "orgId:1"}`
	}
	return `{"data": ` + record + `}`
}

// AnswersList reports whether the answer is a list, or a map in the place of one.
func (i Invocation) AnswersList() bool {
	return strings.Contains(i.Operation.Name, ".list") || strings.HasSuffix(i.Operation.Answer, "list") ||
		i.Operation.Answer == "data-map"
}

// ListAnswer is an answer with these items, in the place where the operation has its list.
func (i Invocation) ListAnswer(items ...string) string {
	list := "[" + strings.Join(items, ",") + "]"
	member, inside := strings.CutPrefix(i.Operation.At, "/data/")
	switch {
	case i.Operation.Answer == "data-map":
		for n, item := range items {
			items[n] = fmt.Sprintf(`"%d": %s`, n+1, item)
		}
		list = "{" + strings.Join(items, ",") + "}"
	case i.Operation.Name == "classic.scim.listUsers":
		return fmt.Sprintf(`{"totalResults": %d, "Resources": %s}`, len(items), list)
	case inside:
		list = `{"` + member + `": ` + list + `}`
	}
	return `{"data": ` + list + `}`
}

// Items returns the records of a result that is a page, a list or a map, in the order of the answer.
func Items(result reflect.Value) (items []reflect.Value) {
	switch {
	case result.Kind() == reflect.Pointer && !result.IsNil() && result.Elem().FieldByName("Items").IsValid():
		return Items(result.Elem().FieldByName("Items"))
	case result.Kind() == reflect.Slice && result.Type().Elem().Kind() == reflect.Pointer:
		for _, item := range result.Seq2() {
			items = append(items, item)
		}
	case result.Kind() == reflect.Map:
		keys := result.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return int(a.Int() - b.Int()) })
		for _, key := range keys {
			items = append(items, result.MapIndex(key))
		}
	}
	return items
}

// Ranges reports whether the method answers with a sequence.
func (i Invocation) Ranges() bool { return strings.HasPrefix(i.Method, "All") }

// Labels returns what hooks get about the call.
func (i Invocation) Labels() drift.RequestInfo {
	return drift.RequestInfo{Operation: i.Operation.Name, Method: i.Operation.Method, Route: i.Operation.Path}
}

// Invocations lists every method of every service of both APIs. Which operation a method serves is found by calling it
// once.
func Invocations(t testing.TB) []Invocation {
	t.Helper()
	found := invocationsOf(t, reflect.TypeFor[drift.Client](), false)
	return append(found, invocationsOf(t, reflect.TypeFor[classic.Client](), true)...)
}

func invocationsOf(t testing.TB, client reflect.Type, classic bool) []Invocation {
	t.Helper()
	operations := Catalogues(t)
	var found []Invocation
	for _, field := range reflect.VisibleFields(client) {
		if field.Type.Kind() != reflect.Interface || !field.IsExported() {
			continue
		}
		for i := range field.Type.NumMethod() {
			method := field.Type.Method(i)
			call := Invocation{Service: field.Name, Method: method.Name, Index: i, classic: classic}
			for n := 1; n < method.Type.NumIn()-1; n++ { // the context comes first, the call options come last
				call.Arguments = append(call.Arguments, goodArgument(method.Type.In(n)))
			}
			name := operationOf(t, call)
			at := slices.IndexFunc(operations, func(o Operation) bool { return o.Name == name })
			require.GreaterOrEqual(t, at, 0, "%s.%s serves %q, which the catalogue lacks", field.Name, method.Name, name)
			call.Operation = operations[at]
			found = append(found, call)
		}
	}
	return found
}

// operationOf asks the hook of a client whose network is down.
func operationOf(t testing.TB, call Invocation) (name string) {
	t.Helper()
	client := Through(t, func(*http.Request) (*http.Response, error) { return nil, errors.New("no network") },
		drift.WithoutRetry(), OnStart(func(r drift.RequestInfo) { name = r.Operation }))
	require.ErrorAs(t, call.On(t.Context(), client), new(*drift.TransportError))
	return name
}

// goodArgument makes an argument that can be sent: 1 as an id, an address as a string, a request with a field set.
func goodArgument(t reflect.Type) reflect.Value {
	if good, ok := goodClassic[t]; ok {
		return reflect.ValueOf(good)
	}
	v := reflect.New(t).Elem()
	switch t.Kind() {
	case reflect.Int64:
		v.SetInt(1)
	case reflect.String:
		v.SetString("ada@example.com")
	case reflect.Struct:
		if email := v.FieldByName("Email"); email.IsValid() && !strings.HasSuffix(t.Name(), "Options") {
			if email.Kind() == reflect.String {
				email.SetString("ada@example.com")
			}
		}
		setFirstOptional(v)
	}
	return v
}

// setFirstOptional clears one field of a PATCH request, so that it sets something.
func setFirstOptional(request reflect.Value) {
	for i := range request.NumField() {
		if optional, ok := AsOptional(request.Field(i)); ok {
			_ = optional.UnmarshalJSON([]byte("null"))
			return
		}
	}
}

// AsOptional returns the Optional that a field of a request is.
func AsOptional(field reflect.Value) (json.Unmarshaler, bool) {
	optional, ok := field.Addr().Interface().(interface {
		json.Unmarshaler
		IsNull() bool
	})
	return optional, ok
}

// Results calls the method and returns its results.
func (i Invocation) Results(ctx context.Context, client *drift.Client, opts ...drift.CallOption) []reflect.Value {
	arguments := append([]reflect.Value{reflect.ValueOf(&ctx).Elem()}, i.Arguments...)
	for _, o := range opts {
		arguments = append(arguments, reflect.ValueOf(o))
	}
	return i.of(client).Call(arguments)
}

// Type returns the type of the method.
func (i Invocation) Type(client *drift.Client) reflect.Type { return i.of(client).Type() }

// of returns the method of a client.
func (i Invocation) of(client *drift.Client) reflect.Value {
	services := reflect.ValueOf(client)
	if i.classic {
		services = reflect.ValueOf(classic.New(client))
	}
	return services.Elem().FieldByName(i.Service).Method(i.Index)
}

// On calls the method, and ranges over its sequence where it returns one.
func (i Invocation) On(ctx context.Context, client *drift.Client, opts ...drift.CallOption) error {
	results := i.Results(ctx, client, opts...)
	last := results[len(results)-1]
	if last.Kind() == reflect.Func {
		return rangeOver(last)
	}
	err, _ := last.Interface().(error)
	return err
}

// rangeOver returns the error that ends a sequence.
func rangeOver(seq reflect.Value) (err error) {
	yield := reflect.MakeFunc(seq.Type().In(0), func(pair []reflect.Value) []reflect.Value {
		if e, ok := pair[1].Interface().(error); ok {
			err = e
		}
		return []reflect.Value{reflect.ValueOf(true)}
	})
	seq.Call([]reflect.Value{yield})
	return err
}

// String returns the package, the service and the method.
func (i Invocation) String() string {
	if i.classic {
		return "classic." + i.Service + "." + i.Method
	}
	return i.Service + "." + i.Method
}

// With returns the invocation with another argument in place n.
func (i Invocation) With(n int, argument reflect.Value) Invocation {
	i.Arguments = slices.Clone(i.Arguments)
	i.Arguments[n] = argument
	return i
}

// ForEveryOperation runs a subtest for every method.
func ForEveryOperation(t *testing.T, check func(*testing.T, Invocation)) {
	t.Helper()
	for _, call := range Invocations(t) {
		t.Run(call.String(), func(t *testing.T) { check(t, call) })
	}
}

// RouteOf returns the route, and the value in it, that a server finds for the URI of a request. It does not use
// http.ServeMux, for which a segment that is only %2F ends the path.
func RouteOf(uri string) string {
	parsed, err := url.ParseRequestURI(uri)
	if err != nil || path.Clean(parsed.EscapedPath()) != parsed.EscapedPath() {
		return "a path that servers change"
	}
	segments := strings.Split(parsed.EscapedPath(), "/")
	for i, segment := range segments {
		if segments[i], err = url.PathUnescape(segment); err != nil {
			return "a broken escape"
		}
	}
	switch {
	case len(segments) != 5:
	case segments[2] == "companies" && segments[4] == "people":
		return "people " + segments[3]
	case segments[2] == "conversations" && segments[3] == "status":
		return "status " + segments[4]
	}
	return "another route"
}
