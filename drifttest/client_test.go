package drifttest_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
)

func TestSeq(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	seq := drifttest.Seq(broken, new(1), new(2))
	for range 2 {
		var items []int
		var errs []error
		for item, err := range seq {
			if err != nil {
				assert.Nil(t, item)
				errs = append(errs, err)
				continue
			}
			items = append(items, *item)
		}
		assert.Equal(t, []int{1, 2}, items)
		assert.Equal(t, []error{broken}, errs)
	}
	for range seq {
		break // must not be called again
	}
	for range drifttest.Seq[int](nil) {
		assert.Fail(t, "nothing to yield")
	}
}

func TestClient(t *testing.T) {
	t.Parallel()
	srv := drifttest.Start(t, drifttest.WithDemoData(), drifttest.WithToken("mine"))
	client := srv.Client()

	conversations, err := drift.Collect(client.Conversations.AllByStatus(t.Context(), drift.ConversationStatusPending,
		drift.ConversationListByStatusOptions{Limit: 4}), 0)
	require.NoError(t, err)
	assert.Len(t, conversations, 10)
	assert.Equal(t, 3, srv.Count("conversations.listByStatus"))

	sent, err := client.Messages.Create(t.Context(), conversations[0].ID, drift.MessageCreateRequest{Body: "<p>Hi</p>"})
	require.NoError(t, err)
	assert.NotEmpty(t, sent.ClientMessageID)

	srv.Fail("messages.create", drifttest.Fault{Drop: drifttest.DropAfterHandling})
	_, err = client.Messages.Create(t.Context(), conversations[0].ID, drift.MessageCreateRequest{Body: "<p>Hi</p>"})
	require.ErrorIs(t, err, drift.ErrAmbiguous)

	_, err = client.Contacts.MatchEmail(t.Context(), "nobody@x.example")
	require.ErrorIs(t, err, drift.ErrNotFound)

	srv.Close()
	_, err = client.Tags.Get(t.Context(), 1)
	require.ErrorIs(t, err, drift.ErrClosed)
}

// A record that the SDK read goes back in unchanged.
func TestSeedingKeepsRecords(t *testing.T) {
	t.Parallel()
	demo, empty := drifttest.Start(t, drifttest.WithDemoData()), drifttest.Start(t)
	conversation, err := demo.Client().Conversations.Get(t.Context(), 2)
	require.NoError(t, err)

	empty.AddConversation(*conversation)
	copied, err := empty.Client().Conversations.Get(t.Context(), 2)
	require.NoError(t, err)
	assert.Equal(t, conversation, copied)
}

func TestClientHasBadOption(t *testing.T) {
	t.Parallel()
	tb := &fakeTB{}
	srv := drifttest.Start(tb)
	defer srv.Close()
	assert.Nil(t, srv.Client(drift.WithToken("another")))
	assert.Len(t, tb.fatals, 1)
}

func TestSeeding(t *testing.T) {
	t.Parallel()
	w := start(t)
	person := w.AddPerson("a.example", drift.Person{Name: "Pia"})
	other := w.AddPerson("b.example", drift.Person{Name: "Qi"})
	team := w.AddTeam("a.example", drift.Team{ID: 7, Name: "T", Members: []drift.UserID{3, 4}})
	assert.Equal(t, []any{drift.PersonID(1), drift.PersonID(2), drift.TeamID(7)}, []any{person, other, team})
	assert.Equal(t, []int{1}, w.list("v2/companies/a.example/people").ids())
	assert.Equal(t, []int{}, w.list("v2/companies/b.example/teams").ids())
	teams := w.list("v2/companies/a.example/teams").Data
	assert.Equal(t, []map[string]any{{"id": 7., "name": "T", "members": []any{3., 4.}}}, teams)
	assert.Equal(t, drift.TeamID(8), w.AddTeam("a.example", drift.Team{}), "after the greatest id")

	contact := w.AddContact(drift.Contact{
		Email:            "c@x.example",
		Tags:             []drift.TagRef{{Name: "vip"}, {ID: 3, Name: "new"}},
		CustomAttributes: map[string]any{"plan": "pro"},
	})
	assert.Equal(t, drift.ContactID(1), contact)
	assert.Equal(t, []int{1}, w.list("v2/contacts?tags=vip&tags=new&custom_attributes[plan]=pro").ids())
	assert.Contains(t, w.ok(http.MethodGet, "v2/contacts/1", ""), "created_at")

	id := w.AddConversation(drift.Conversation{ID: 42, Archived: true, Participants: []drift.UserID{drift.UserID(person)}})
	assert.Equal(t, drift.ConversationID(42), id)
	assert.Equal(t, []int{42}, w.list("v2/conversations?archived=true&participants=pia").ids())
	assert.Equal(t, "open", w.ok(http.MethodGet, "v2/conversations/42", "")["status"])
	w.AddConversation(drift.Conversation{ID: 42, Status: "closed"})
	assert.Equal(t, []int{42}, w.list("v2/conversations/status/closed").ids())
}

func TestOAuthConfigFits(t *testing.T) {
	t.Parallel()
	srv := drifttest.Start(t)
	config := srv.OAuthConfig()
	assert.Equal(t, drifttest.DefaultClientID, config.ClientID)
	assert.Equal(t, srv.URL+"/oauth2/token", config.TokenURL)

	own := drifttest.Start(t, drifttest.WithOAuth(drifttest.OAuthApp{
		ClientID: "mine", ClientSecret: "hush", RedirectURLs: []string{"https://a.example/x", "https://b.example/x"},
	}))
	config = own.OAuthConfig()
	assert.Equal(t, "mine", config.ClientID)
	assert.Equal(t, "hush", config.ClientSecret.Reveal())
	assert.Equal(t, "https://a.example/x", config.RedirectURL)
}

// The whole way: code with a proof key, tokens, calls, a refresh after the tokens have ended, and the end of it all.
func TestOAuthWithTheSDK(t *testing.T) {
	t.Parallel()
	srv := drifttest.Start(t)
	config := srv.OAuthConfig()
	verifier := oauth2.GenerateVerifier()
	code := srv.Allow(config.AuthCodeURL("state", oauth2.S256ChallengeOption(verifier))).Query().Get("code")
	token, err := config.Exchange(t.Context(), code, oauth2.VerifierOption(verifier))
	require.NoError(t, err)
	org, ok := drift.OrgIDFromToken(token)
	assert.True(t, ok)
	assert.Equal(t, drift.OrgID(1), org)

	source := config.TokenSource(drift.NewMemoryTokenStore(token))
	defer func() { assert.NoError(t, source.Close()) }()
	client, err := drift.NewClient(drift.WithBaseURL(srv.URL), drift.WithTokenSource(source))
	require.NoError(t, err)
	defer func() { assert.NoError(t, client.Close()) }()
	call := func() error {
		_, err := client.Contacts.List(t.Context(), drift.ContactListOptions{})
		return err
	}
	require.NoError(t, call())
	assert.Equal(t, 1, srv.Count("oauth.token"))

	srv.ExpireTokens()
	require.NoError(t, call(), "after a refresh")
	assert.Equal(t, 2, srv.Count("oauth.token"))

	srv.RevokeTokens()
	assert.ErrorIs(t, call(), drift.ErrReauthRequired)

	issued := srv.IssueToken()
	org, ok = drift.OrgIDFromToken(issued)
	assert.True(t, ok)
	assert.Equal(t, drift.OrgID(1), org)
}

// A test with many calls does not wait, unless it is about limits.
func TestClientHasNoLimit(t *testing.T) {
	t.Parallel()
	srv := drifttest.Start(t, drifttest.WithDemoData())
	client := srv.Client()
	for range 150 {
		_, err := client.Tags.Get(t.Context(), 1)
		assert.NoError(t, err)
	}
}

func TestDemoHasUnassignedConversations(t *testing.T) {
	unassigned := 0
	for _, conversation := range drifttest.Start(t, drifttest.WithDemoData()).Conversations() {
		if conversation.AssignedUserID == 0 {
			assert.Equal(t, drift.ConversationStatusOpen, conversation.Status)
			unassigned++
		}
	}
	assert.Equal(t, 4, unassigned)
}
