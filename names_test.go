package drift_test

import (
	"context"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
)

// operation is a line of the catalogue.
type operation struct {
	name, method, path string
	parameters         []string
	calls              []goCall
}

// goCall is a call that the catalogue names, such as Tags.Get(ctx, id).
type goCall struct {
	service, method string
	arguments       []string
}

func catalogue(t testing.TB) []operation {
	t.Helper()
	text, err := os.ReadFile("testdata/operations.tsv")
	require.NoError(t, err)
	var operations []operation
	for line := range strings.Lines(string(text)) {
		columns := strings.Split(strings.TrimRight(line, "\n"), "\t")
		require.Len(t, columns, 5, line)
		if columns[0] != "operation" {
			operations = append(operations, operation{columns[0], columns[1], columns[2], splitList(columns[3]), parseCalls(t, columns[4])})
		}
	}
	require.Len(t, operations, 34)
	return operations
}

func splitList(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ", ")
}

var callPattern = regexp.MustCompile(`(\w*)\.(\w+)\(([^)]*)\)`)

// parseCalls reads the last column. A call without a service belongs to the one before it.
func parseCalls(t testing.TB, column string) []goCall {
	t.Helper()
	var calls []goCall
	for _, match := range callPattern.FindAllStringSubmatch(column, -1) {
		service := match[1]
		if service == "" {
			service = calls[0].service
		}
		calls = append(calls, goCall{service, match[2], splitList(match[3])})
	}
	require.NotEmpty(t, calls, column)
	return calls
}

func TestRoutesAreTheCatalogue(t *testing.T) {
	var want []drift.Operation
	for _, op := range catalogue(t) {
		want = append(want, drift.Operation{Name: op.name, Method: op.method, Template: op.path})
	}
	assert.Equal(t, want, drift.Operations())
}

// services returns the client's service interfaces by the name of their field.
func services() map[string]reflect.Type {
	found := map[string]reflect.Type{}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[drift.Client]()) {
		if field.IsExported() && field.Type.Kind() == reflect.Interface {
			found[field.Name] = field.Type
		}
	}
	return found
}

func TestMethodsAreTheCatalogue(t *testing.T) {
	var got, want []string
	for service, methods := range services() {
		for method := range methods.Methods() {
			got = append(got, service+"."+method.Name)
		}
	}
	for _, op := range catalogue(t) {
		for _, call := range op.calls {
			want = append(want, call.service+"."+call.method)
		}
	}
	assert.ElementsMatch(t, want, got)
}

// Every method takes a context, the arguments that the catalogue names, and call options.
func TestMethodSignatures(t *testing.T) {
	for _, op := range catalogue(t) {
		for _, call := range op.calls {
			signature := method(t, call).Type
			if assert.Equal(t, len(call.arguments)+1, signature.NumIn(), "arguments of %s.%s", call.service, call.method) {
				assert.Equal(t, reflect.TypeFor[context.Context](), signature.In(0))
				assert.Equal(t, reflect.TypeFor[[]drift.CallOption](), signature.In(signature.NumIn()-1))
				assert.True(t, signature.IsVariadic())
			}
		}
	}
}

func method(t testing.TB, call goCall) reflect.Method {
	t.Helper()
	service, ok := services()[call.service]
	require.True(t, ok, call.service)
	found, ok := service.MethodByName(call.method)
	require.True(t, ok, "%s.%s", call.service, call.method)
	return found
}

// spoken lists the parameters of an operation that no request or options type names: they are arguments of their own, or
// repeat one.
var spoken = map[string][]string{
	"conversations.listByStatus": {"status"},
	"messages.create":            {"conversation_id"},
	"contacts.upsertByEmail":     {"email"},
	"contacts.matchEmail":        {"email"},
	"driftbot.trigger":           {"conversation_id"},
}

func TestParameterNames(t *testing.T) {
	for _, op := range catalogue(t) {
		t.Run(op.name, func(t *testing.T) {
			tag := "json"
			if op.method == "GET" {
				tag = "query"
			}
			for _, call := range op.calls {
				names := spoken[op.name]
				for _, argument := range structArguments(method(t, call).Type) {
					names = append(slices.Clone(names), tagNames(t, argument, tag)...)
				}
				assert.ElementsMatch(t, op.parameters, names, "%s.%s", call.service, call.method)
			}
		})
	}
}

// structArguments returns the types of the requests and the options that a method takes.
func structArguments(signature reflect.Type) []reflect.Type {
	var types []reflect.Type
	for in := range signature.Ins() {
		if in.Kind() == reflect.Struct {
			types = append(types, in)
		}
	}
	return types
}

// tagNames returns the names of a struct's fields on the wire. Only paging has none.
func tagNames(t *testing.T, of reflect.Type, tag string) []string {
	t.Helper()
	var names []string
	for _, field := range reflect.VisibleFields(of) {
		name, _, _ := strings.Cut(field.Tag.Get(tag), ",")
		if name != "" {
			names = append(names, name)
			continue
		}
		assert.Contains(t, []string{"Limit int", "Cursor string"}, field.Name+" "+field.Type.String(), "%s", of)
		assert.Equal(t, "query", tag, "%s pages", of)
	}
	return names
}

// Every list pages, and nothing else does.
func TestListsPage(t *testing.T) {
	for _, op := range catalogue(t) {
		for _, call := range op.calls {
			for _, argument := range structArguments(method(t, call).Type) {
				_, hasLimit := argument.FieldByName("Limit")
				_, hasCursor := argument.FieldByName("Cursor")
				isList := len(op.calls) == 2 // one page, and all of them
				assert.Equal(t, isList, hasLimit, "%s", argument)
				assert.Equal(t, isList, hasCursor, "%s", argument)
			}
		}
	}
}

// A record is never a request.
func TestRequestsAreNoRecords(t *testing.T) {
	for _, service := range services() {
		for method := range service.Methods() {
			for _, argument := range structArguments(method.Type) {
				assert.Regexp(t, "(Request|Options)$", argument.Name())
			}
		}
	}
}
