// Package driftmock has a mock for each service of a [drift.Client], for tests of code that takes the whole client.
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
// A call that no expectation covers fails the test at once, an expectation that no call met fails it at the end. Arguments are
// compared as they are, types included: write drift.ConversationID(42), not 42.
//
// # Options of a call
//
// All options of a call are one last argument, a []drift.CallOption, which is missing where there are none. An expectation
// without it is for calls without options. Options are functions, so no two are equal: mock.Anything in their place stands for
// any options, none included, and mock.MatchedBy with a func([]drift.CallOption) bool for some.
//
// # Lists
//
// [github.com/driftsdk/drift/drifttest.Seq] makes what a mocked All returns.
//
// # When not to use it
//
// Code that calls two methods needs no mock of a service: declare an interface of these two and write a fake. And what matters
// with a remote service is how the code bears its failures, which a mock cannot show: package
// [github.com/driftsdk/drift/drifttest] has a whole Drift in memory. The program in examples/testing shows all three.
//
// The mocks follow the interfaces, which may grow in minor versions.
package driftmock

//go:generate go run github.com/vektra/mockery/v3@v3.9.0
