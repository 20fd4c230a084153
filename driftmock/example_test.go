package driftmock_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/driftmock"
	"github.com/driftsdk/drift/drifttest"
)

// titles is the code under test.
func titles(ctx context.Context, client *drift.Client, status drift.ConversationStatus) ([]string, error) {
	var found []string
	for conversation, err := range client.Conversations.AllByStatus(ctx, status, drift.ConversationListByStatusOptions{}, drift.WithBulk()) {
		if err != nil {
			return found, err
		}
		found = append(found, conversation.Title)
	}
	return found, nil
}

func TestTitles(t *testing.T) {
	client, mocks := driftmock.NewClient(t)
	mocks.Conversations.EXPECT().
		AllByStatus(mock.Anything, drift.ConversationStatusOpen, mock.Anything, mock.Anything).
		Return(drifttest.Seq(nil, &drift.Conversation{Title: "Invoice"}, &drift.Conversation{Title: "Trial"}))

	found, err := titles(t.Context(), client, drift.ConversationStatusOpen)

	require.NoError(t, err)
	require.Equal(t, []string{"Invoice", "Trial"}, found)
}

func ExampleNewClient() {
	t := &exampleT{} // in a test: its *testing.T
	defer t.end()

	client, mocks := driftmock.NewClient(t)
	mocks.Contacts.EXPECT().
		Get(mock.Anything, drift.ContactID(7)).
		Return(&drift.Contact{ID: 7, Email: "grace@example.com"}, nil)

	contact, err := client.Contacts.Get(context.Background(), 7)
	fmt.Println(contact.Email, err)
	// Output: grace@example.com <nil>
}
