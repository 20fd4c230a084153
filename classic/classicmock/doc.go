// Package classicmock has a mock of each service of a [classic.Client], for tests of code that takes the whole client.
//
//	func TestNameOf(t *testing.T) {
//		client, mocks := classicmock.NewClient(t)
//		mocks.Contacts.EXPECT().
//			Get(mock.Anything, drift.ContactID(42)).
//			Return(&classic.Contact{ID: 42, Attributes: drift.Attributes{"name": "Ann"}}, nil)
//
//		name, err := nameOf(t.Context(), client, 42)
//		if err != nil || name != "Ann" {
//			t.Errorf("%q, %v", name, err)
//		}
//	}
//
// The mocks behave like those of package [github.com/driftsdk/drift/driftmock], whose documentation also says what to
// expect of the options of a call, how to mock All, and when a fake of your own is better.
//
// The mocks follow the interfaces, which may grow in minor versions.
package classicmock
