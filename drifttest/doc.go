// Package drifttest is an in-memory Drift server. It listens on loopback, keeps conversations, contacts, messages,
// notes, tags and meetings, and answers the 34 operations of the v2 API and the 50 of the classic API. Test your own
// service against it instead of writing stubs:
//
//	func TestEscalation(t *testing.T) {
//		srv := drifttest.Start(t, drifttest.WithDemoData())
//		client := srv.Client()
//
//		// The first attempt is answered 503, the next one normally.
//		srv.Fail("conversations.get", drifttest.Fault{Status: http.StatusServiceUnavailable})
//
//		if err := escalate(t.Context(), client, 42); err != nil {
//			t.Fatal(err)
//		}
//		if got := srv.Count("conversations.get"); got != 2 {
//			t.Errorf("%d requests, want 2", got)
//		}
//	}
//
// # Strictness
//
// The service itself may be lenient. This server is not, so that tests catch mistakes. It answers 400, with a message
// that names the parameter or header, to:
//
//   - a parameter that the operation does not have, a name in camelCase, and a repeated name
//   - a value of the wrong type, a fraction instead of an integer, and null in a create except as a payload
//   - a query parameter without a value, and a custom_attributes[key] whose key is empty or has brackets or control
//     characters
//   - a body with an operation that has none, and a body that is not JSON in UTF-8
//   - an Accept header other than application/json or */*
//   - a body whose Content-Type is missing, is not JSON, or has a charset other than UTF-8
//   - a message without a body, a tag without a name, a meeting without a start_at, a participant without an email
//   - an empty email, and a conversation_id that differs from the path or names a conversation that does not exist
//
// The same rules apply to an update. It may omit any field, and null clears a field, but a required field cannot be
// cleared: a PATCH cannot remove a tag's name.
//
// With [WithRequiredKeys] a create also needs the keys that package drift always sends.
//
// # The classic API
//
// A client of package classic is classic.New(srv.Client()).
//
// Both APIs work on the same records. What one writes, the other reads: an account is a company, a message of type
// private_note is a note, and a contact's open map holds the attributes and the custom attributes of v2. The answers
// have the shapes of the service, with its oddities: lists page in four ways, the links of conversations lead to
// another host, and the contact service has errors of its own. The operations are named "classic.contacts.get" and so
// on; the token endpoint is "oauth.token" in both.
//
// The server is as strict here: it refuses every parameter that the API's documentation lacks. A transcript and an
// attachment need Accept: */*. Meetings that began more than 30 days ago are not listed, by the server's clock.
//
// Some things are guesses, because no source shows them: the JSON transcript, the answer of
// classic.contacts.addTags and of classic.reports.conversationSummary, the status 409 for a domain or a userName that
// is taken, and the filters of SCIM, of which the server knows userName eq "…" and the like.
//
// # Records
//
// Ids count up from 1 for every kind of record. Lists are in the order of the ids, with 25 records on a page unless the
// request sets a limit. A cursor stays valid while records are added and deleted.
//
// [Server.AddContact], [Server.AddConversation], [Server.AddMessage], [Server.AddAttachment], [Server.AddPerson],
// [Server.AddTeam], [Server.AddUser], [Server.AddAccount], [Server.AddPlaybook] and [Server.AddLandingPage] add records
// with any fields, even those that no request may set. Create notes, tags and meetings with the client. [WithDemoData]
// fills a small account; its contents are the same in every run.
//
// [Server.Messages], [Server.Notes], [Server.Contacts], [Server.Conversations], [Server.Tags], [Server.Meetings],
// [Server.Users], [Server.Accounts] and [Server.TimelineEvents] read records back, so that a test can check what its code
// wrote.
//
// Filters match exactly, with two exceptions: e-mail addresses and participants match in any case, and search matches
// part of a name or address. A list must contain every value in the filter. An absent boolean counts as false. The
// server accepts the parameters background_mode, scope and use_precise_filters, but they do not filter.
//
// # Endpoints of your own
//
// [Server.Handle] adds an endpoint that the server does not have, or replaces one that it has. Use it to test code that
// calls [drift.Client.Do] or [drift.ListOf], or to answer a built-in operation with records that do not decode. The
// handler writes the whole answer, so a page is {"data": […], "pagination": {"next": "…"}}.
//
// # Limits and time
//
// A client of [Server.Client] has no rate limit unless the test asks for one with [WithLimits] or
// [drift.WithRateLimit]. It waits before it retries, up to half a second the first time. drift.WithoutRetry() turns
// retries off.
//
// In a bubble of [testing/synctest] nothing really waits. Start the server in the bubble, with the bubble's t: it then
// has no port, its connections are in memory, and [Server.Client] and [Server.HTTPClient] use them.
//
//	synctest.Test(t, func(t *testing.T) {
//		srv := drifttest.Start(t, drifttest.WithLimits(100, 0))
//		client := srv.Client()
//		… // 1,000 calls take nine minutes on the clock of the bubble
//	})
//
// # OAuth
//
// The server has an authorize page and a token endpoint. Its API accepts the tokens that it issued until they expire or
// are revoked. [Server.OAuthConfig] returns a configuration for it, [Server.Allow] and [Server.Deny] act as the user,
// and [Server.IssueToken] issues a token without a user. [WithOAuth] sets how long tokens live and whether a refresh
// token can be used twice. Test failures with [Server.ExpireTokens], [Server.RevokeTokens] and Fail("oauth.token", …).
//
// # Webhooks
//
// [Server.SendWebhooks] posts the server's events to a receiver, one after the other. It retries an event that is not
// accepted, and can send events twice or in reverse order. A receiver is a URL, or a handler in the same process.
// [Server.AddMessage] acts as a visitor who writes a message.
// [NewDelivery] makes a delivery for a test that needs no server.
//
// # Faults
//
// [Server.Fail] breaks the next requests of an operation: with an error, a delay, a connection that is dropped at any
// stage, or an answer that is truncated or huge. [WithLimits] enforces the rolling minute and the month.
// [Server.Requests] returns the requests that arrived, and [Server.Count] counts them.
//
// If a method is misused, for instance Fail with an unknown operation, it calls Fatalf of the test that started the
// server. So call these methods from the test's goroutine. A server of [NewServer] panics instead.
//
// [Seq] needs no server: it makes the return value for a mocked All.
package drifttest
