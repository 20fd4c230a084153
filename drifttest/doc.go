// Package drifttest is a Drift in memory: a server on loopback that keeps conversations, contacts, messages, notes, tags and
// meetings, and answers the 34 operations of the v2 API. Test your own service against it instead of writing stubs:
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
// The service itself forgives much; this server does not, so that a mistake shows in a test. A parameter that the operation
// does not have, a name in camelCase, a wrong type, a name given twice, a fraction where an integer belongs, a body where none
// belongs, or a missing Accept or Content-Type header is answered 400, with a message that names what is wrong. A message needs a
// body, a tag a name and a meeting a start_at.
//
// # Records
//
// Ids count up from 1 for every kind of record, lists are in the order of the ids, 25 on a page unless the request says
// otherwise, and a cursor stays good while records come and go. What the API cannot create can be put in with
// [Server.AddPerson], [Server.AddTeam] and their like. [WithDemoData] fills a small account; its contents are the same in
// every run.
//
// # Limits
//
// A client of [Server.Client] keeps to 100 calls in 60 seconds, as any client does: a test that makes more waits for the rest of the
// minute. Where that is not what it is about, give the client a limit that it does not reach: srv.Client(drift.WithRateLimit(1_000_000)).
//
// # OAuth
//
// The server plays the authorize page and the token endpoint, and its API takes the tokens that it gave out until they expire or are
// revoked. [Server.OAuthConfig] is ready to use, [Server.Allow] and [Server.Deny] play the user, [Server.IssueToken] goes without
// one. [WithOAuth] sets how long tokens live and what becomes of a used refresh token; [Server.ExpireTokens],
// [Server.RevokeTokens] and Fail("oauth.token", …) are for what goes wrong.
//
// # Webhooks
//
// [Server.SendWebhooks] posts what happens in the server to a receiver: one event after the other, again when it is not accepted,
// twice or in reverse order when asked to. [Server.AddMessage] plays a visitor who writes. [NewDelivery] makes a delivery for a test
// that needs no server.
//
// # Trouble
//
// [Server.Fail] breaks the next requests of an operation: errors, delays, connections dropped at each stage, answers cut short or
// blown up. [WithLimits] enforces the rolling minute and the month. [Server.Requests] tells what arrived.
//
// What net/http cannot send is for a [RawServer]: connections reset or silent at any point, status lines and lengths that are
// wrong, HTTP/2 frames, bad certificates. [StartRaw] starts one.
//
// A mock needs no server: [Seq] makes the value of a mocked All.
package drifttest
