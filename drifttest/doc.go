// Package drifttest is an in-memory Drift server. It listens on loopback, keeps conversations, contacts, messages,
// notes, tags and meetings, and answers the 34 operations of the v2 API. Test your own service against it instead of
// writing stubs:
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
// The service itself may forgive much. This server does not, so that a mistake shows in a test. It answers 400, with a
// message that names the parameter or header, to:
//
//   - a parameter that the operation does not have, a name in camelCase, and a name given twice
//   - a wrong type, a fraction where an integer belongs, and null in a create except as a payload
//   - a query parameter without a value, and a custom_attributes[key] whose key is empty or has brackets or control
//     characters
//   - a body where none belongs, and a body that is not JSON in UTF-8
//   - an Accept header other than application/json or */*, and a body whose Content-Type is missing, is not JSON, or has
//     a charset other than UTF-8
//   - a message without a body, a tag without a name, a meeting without a start_at, a participant without an email
//   - an email that is empty, and a conversation_id that names another conversation than the path, or none that exists
//
// An update is held to the same rules as a create. It may leave any field out, and null clears a field, but not one
// that the record needs: a PATCH cannot take a tag's name away.
//
// [WithRequiredKeys] also asks a create for the keys that package drift always sends.
//
// # Records
//
// Ids count up from 1 for every kind of record, lists are in the order of the ids, 25 on a page unless the request says
// otherwise, and a cursor stays good while records come and go.
//
// [Server.AddContact], [Server.AddConversation], [Server.AddMessage], [Server.AddPerson] and [Server.AddTeam] add
// records with any fields, even those that no request may set. Create notes, tags and meetings with the client.
// [WithDemoData] fills a small account; its contents are the same in every run.
//
// Filters match exactly, with two exceptions: the case of e-mail addresses and of participants does not matter, and
// search finds part of a name or address. A list must have every value that the filter asks for. An absent boolean
// counts as false. The parameters background_mode, scope and use_precise_filters are accepted and filter nothing.
//
// # Endpoints of your own
//
// [Server.Handle] adds an endpoint that the server does not have, or replaces one that it has. Use it to test code that
// calls [drift.Client.Do] or [drift.ListOf], or to answer a built-in operation with records that do not decode. The
// handler writes the whole answer, so a page is {"data": […], "pagination": {"next": "…"}}.
//
// # Limits
//
// A client of [Server.Client] keeps to 100 calls in 60 seconds, as any client does, so a test that makes more waits for
// the rest of the minute. If limits are not the point of the test, give the client one that it does not reach:
// srv.Client(drift.WithRateLimit(1_000_000)).
//
// The client also waits before it retries, up to half a second the first time. drift.WithoutRetry() turns retries off.
//
// # OAuth
//
// The server plays the authorize page and the token endpoint, and its API accepts the tokens that it issued until they
// expire or are revoked. [Server.OAuthConfig] is ready to use, [Server.Allow] and [Server.Deny] play the user, and
// [Server.IssueToken] needs no user. [WithOAuth] sets how long tokens live and whether a refresh token can be used
// twice. [Server.ExpireTokens], [Server.RevokeTokens] and Fail("oauth.token", …) make things go wrong.
//
// # Webhooks
//
// [Server.SendWebhooks] posts what happens in the server to a receiver, one event after the other. It repeats an event
// that is not accepted, and sends events twice or in reverse order on request. [Server.AddMessage] plays a visitor who
// writes. [NewDelivery] makes a delivery for a test that needs no server.
//
// # Trouble
//
// [Server.Fail] breaks the next requests of an operation: errors, delays, connections dropped at each stage, answers
// that are cut short or huge. [WithLimits] enforces the rolling minute and the month. [Server.Requests] returns what
// arrived, [Server.Count] how often.
//
// A misused method, such as Fail with an unknown operation, calls Fatalf of the test that started the server, so call
// these methods from the test's goroutine. A server of [NewServer] panics instead.
//
// A mock needs no server: [Seq] makes the value of a mocked All.
package drifttest
