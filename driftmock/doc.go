// Package driftmock has a mock of each service of a [drift.Client], for tests of code that takes the whole client.
//
//	func TestTitleOf(t *testing.T) {
//		client, mocks := driftmock.NewClient(t)
//		mocks.Conversations.EXPECT().
//			Get(mock.Anything, drift.ConversationID(42)).
//			Return(&drift.Conversation{ID: 42, Title: "Invoice"}, nil)
//
//		title, err := titleOf(t.Context(), client, 42)
//		if err != nil || title != "Invoice" {
//			t.Errorf("%q, %v", title, err)
//		}
//	}
//
// A call without a matching expectation fails the test at once. An expectation without a call fails it at the end.
// Arguments must be equal and of the same type: write drift.ConversationID(42), not 42.
//
// # Options of a call
//
// The options of a call are its last argument, a []drift.CallOption, which is missing in a call without options. An
// expectation without that argument matches only calls without options. Two options are never equal, because options
// are functions. In their place use mock.Anything, which also matches a call without options, or mock.MatchedBy with a
// func([]drift.CallOption) bool.
//
// # Lists
//
// [github.com/driftsdk/drift/drifttest.Seq] makes the return value for a mocked All.
//
// # When not to use it
//
// Code that calls one or two methods does not need a mock of a service: declare an interface with just those methods
// and write a fake. To test how your code handles the failures of a remote service, use the in-memory Drift server of
// package [github.com/driftsdk/drift/drifttest]. The program in examples/testing shows all three.
//
// The mocks follow the interfaces, which may grow in minor versions.
package driftmock

//go:generate go run github.com/vektra/mockery/v3@v3.9.0
