package rest_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/internal/rest"
	"github.com/driftsdk/drift/internal/wire"
)

func TestExpand(t *testing.T) {
	route := &rest.Route{Path: "contacts/{contactId}/tags/{tagName}"}
	for _, test := range []struct {
		values         rest.Path
		want, argument string
	}{
		{rest.Path{rest.ID(int64(7)), rest.Text("a/b c%2F?#é")}, "/base/contacts/7/tags/a%2Fb%20c%252F%3F%23%C3%A9", ""},
		{rest.Path{rest.OwnID(int64(1<<63 - 1)), rest.OwnText("x")}, "/base/contacts/9223372036854775807/tags/x", ""},
		{rest.Path{rest.ID(int64(0)), rest.Text("x")}, "", "contactId"},
		{rest.Path{rest.ID(int64(-1)), rest.Text("x")}, "", "contactId"},
		{rest.Path{rest.ID(int64(7)), rest.Text("..")}, "", "tagName"},
		{rest.Path{rest.ID(int64(7))}, "", "tagName"},
		{nil, "", "contactId"},
	} {
		path, err := route.Expand("/base/", test.values)
		assert.Equal(t, test.want, path)
		var argument *wire.ArgumentError
		if errors.As(err, &argument); test.argument != "" {
			require.NotNil(t, argument)
			assert.Equal(t, test.argument, argument.Argument)
			continue
		}
		require.NoError(t, err)
	}
	path, err := (&rest.Route{Path: "users/list"}).Expand("/", nil)
	require.NoError(t, err)
	assert.Equal(t, "/users/list", path)
}

func TestCheckText(t *testing.T) {
	for _, good := range []string{"a", "...", ".a", " a ", "é", "/", strings.Repeat("a", 1024)} {
		require.NoError(t, rest.CheckText(good), good)
	}
	for _, bad := range []string{"", " ", ".", "..", "a\n", "\x00", "a\xff", "\u00a0", strings.Repeat("a", 1025)} {
		require.Error(t, rest.CheckText(bad), "%q", bad)
	}
}

func TestCheckEmail(t *testing.T) {
	require.NoError(t, rest.CheckEmail("a+b@c.d"))
	for _, bad := range []string{"", "a", "a@b\n", "@" + strings.Repeat("a", 1024)} {
		var argument *wire.ArgumentError
		require.ErrorAs(t, rest.CheckEmail(bad), &argument)
		assert.Equal(t, "email", argument.Argument)
	}
}
