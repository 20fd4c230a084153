package classic_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
	"github.com/driftsdk/drift/internal/testkit"
)

var goldenProperties = []classic.CustomProperty{{Label: "Size", Name: "size", Type: classic.PropertyTypeNumber, Value: 12}}

var accountCalls = map[string]goldenCall{
	"accounts.create": func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Accounts.Create(ctx, classic.AccountCreateRequest{
			CustomProperties: goldenProperties, Domain: "domain.com", Name: "Acme", OwnerID: 228225, Targeted: new(false),
		})
	},
	"accounts.get": func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Accounts.Get(ctx, "123458_domain.com")
	},
	"accounts.list": func(ctx context.Context, c *classic.Client) (any, error) {
		return page(c.Accounts.List(ctx, classic.AccountListOptions{Limit: 10, Cursor: "5"}))
	},
	"accounts.update": func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Accounts.Update(ctx, "123458_domain.com", classic.AccountUpdateRequest{
			CustomProperties: drift.Set(goldenProperties), Domain: drift.Null[string](), Name: drift.Set(""), OwnerID: 228225,
			Targeted: drift.Set(false),
		})
	},
	"accounts.delete": func(ctx context.Context, c *classic.Client) (any, error) {
		return nil, c.Accounts.Delete(ctx, "a/b c_domain.com")
	},
}

func TestAllAccounts(t *testing.T) {
	var queries []string
	client := classic.New(testkit.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		queries = append(queries, r.URL.RawQuery)
		switch r.URL.Query().Get("index") {
		case "":
			testkit.Respond(200, `{"data": {"accounts": [{"accountId": "1_a"}], "total": 9, "next": "/accounts?index=65&size=65"}}`)(w, r)
		case "65":
			testkit.Respond(200, `{"data": {"accounts": [{"accountId": 2}], "next": "https://other.example/x?a=%zz&index=a%26b"}}`)(w, r)
		default:
			testkit.Respond(200, `{"accounts": [{"accountId": "3_c", "customProperties": [{"value": 9007199254740993}, {"value": ["a", null]}]}], "total": 99, "next": null}`)(w, r)
		}
	}))
	found, err := drift.Collect(client.Accounts.All(t.Context(), classic.AccountListOptions{}), 0)
	require.NoError(t, err)
	require.Len(t, found, 3)
	assert.Equal(t, classic.AccountID("2"), found[1].AccountID)
	assert.Equal(t, json.Number("9007199254740993"), found[2].CustomProperties[0].Value)
	assert.Equal(t, []any{"a", nil}, found[2].CustomProperties[1].Value)
	assert.Equal(t, []string{"size=65", "index=65&size=65", "index=a%26b&size=65"}, queries)
}

func TestAccountPages(t *testing.T) {
	for next, want := range map[string]string{`"/accounts?index=10"`: "10", `"?index=10#a"`: "10", `""`: "", `null`: "", `10`: "10", `"10"`: "10"} {
		page, err := answering(t, `{"data": {"accounts": [], "next": `+next+`}}`).Accounts.List(t.Context(), classic.AccountListOptions{})
		require.NoError(t, err, next)
		assert.Equal(t, want, page.Next, next)
	}
	_, err := answering(t, `{"data": {"accounts": [], "next": "/accounts?size=3"}}`).Accounts.List(t.Context(), classic.AccountListOptions{})
	testkit.RequireDecodeError(t, err, "/next")
	for _, limit := range []int{-1, 66} {
		_, err := answering(t, `{}`).Accounts.List(t.Context(), classic.AccountListOptions{Limit: limit})
		requireInvalid(t, err, "limit")
	}
}

func TestAccountsAreRefused(t *testing.T) {
	client := answering(t, `{}`)
	_, err := client.Accounts.Create(t.Context(), classic.AccountCreateRequest{Name: "Acme"})
	requireInvalid(t, err, "ownerId")
	_, err = client.Accounts.Create(t.Context(), classic.AccountCreateRequest{OwnerID: 1, CustomProperties: []classic.CustomProperty{{Label: "\xff"}}})
	requireInvalid(t, err, "customProperties")
	_, err = client.Accounts.Update(t.Context(), "1_a", classic.AccountUpdateRequest{Name: drift.Set("Acme")})
	requireInvalid(t, err, "ownerId")
	_, err = client.Accounts.Update(t.Context(), "", classic.AccountUpdateRequest{OwnerID: 1})
	requireInvalid(t, err, "accountId")
	_, err = client.Accounts.Get(t.Context(), "")
	requireInvalid(t, err, "accountId")
	_, err = answering(t, `{"data": {"accountId": "2_b"}}`).Accounts.Get(t.Context(), "1_a")
	testkit.RequireDecodeError(t, err, "/accountId")
}
