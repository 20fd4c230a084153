package drift_test

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/testkit"
)

func TestRoutesAreTheCatalogue(t *testing.T) {
	var want []drift.Route
	for _, op := range testkit.Catalogue(t) {
		want = append(want, drift.Route{Name: op.Name, Method: op.Method, Path: op.Path})
	}
	assert.Equal(t, want, drift.Routes())
}

func TestMethodsAreTheCatalogue(t *testing.T) {
	var got, want []string
	for service, methods := range testkit.Services() {
		for method := range methods.Methods() {
			got = append(got, service+"."+method.Name)
		}
	}
	for _, op := range testkit.Catalogue(t) {
		for _, call := range op.Calls {
			want = append(want, call.Service+"."+call.Method)
		}
	}
	assert.ElementsMatch(t, want, got)
}

// Every method takes a context, the arguments that the catalogue names, and call options.
func TestMethodSignatures(t *testing.T) {
	for _, op := range testkit.Catalogue(t) {
		for _, call := range op.Calls {
			signature := method(t, call).Type
			if assert.Equal(t, len(call.Arguments)+1, signature.NumIn(), "arguments of %s.%s", call.Service, call.Method) {
				assert.Equal(t, reflect.TypeFor[context.Context](), signature.In(0))
				assert.Equal(t, reflect.TypeFor[[]drift.CallOption](), signature.In(signature.NumIn()-1))
				assert.True(t, signature.IsVariadic())
			}
		}
	}
}

func method(t testing.TB, call testkit.GoCall) reflect.Method {
	t.Helper()
	service, ok := testkit.Services()[call.Service]
	require.True(t, ok, call.Service)
	found, ok := service.MethodByName(call.Method)
	require.True(t, ok, "%s.%s", call.Service, call.Method)
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
	for _, op := range testkit.Catalogue(t) {
		t.Run(op.Name, func(t *testing.T) {
			tag := "json"
			if op.Method == "GET" {
				tag = "query"
			}
			for _, call := range op.Calls {
				names := spoken[op.Name]
				for _, argument := range testkit.StructArguments(method(t, call).Type) {
					names = append(slices.Clone(names), tagNames(t, argument, tag)...)
				}
				assert.ElementsMatch(t, op.Parameters, names, "%s.%s", call.Service, call.Method)
			}
		})
	}
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
	for _, op := range testkit.Catalogue(t) {
		for _, call := range op.Calls {
			for _, argument := range testkit.StructArguments(method(t, call).Type) {
				_, hasLimit := argument.FieldByName("Limit")
				_, hasCursor := argument.FieldByName("Cursor")
				isList := len(op.Calls) == 2 // one page, and all of them
				assert.Equal(t, isList, hasLimit, "%s", argument)
				assert.Equal(t, isList, hasCursor, "%s", argument)
			}
		}
	}
}

// A record is never a request.
func TestRequestsAreNoRecords(t *testing.T) {
	for _, service := range testkit.Services() {
		for method := range service.Methods() {
			for _, argument := range testkit.StructArguments(method.Type) {
				assert.Regexp(t, "(Request|Options)$", argument.Name())
			}
		}
	}
}
