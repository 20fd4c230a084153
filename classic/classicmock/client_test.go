package classicmock_test

import (
	"context"
	"fmt"
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
	"github.com/driftsdk/drift/classic/classicmock"
	"github.com/driftsdk/drift/drifttest"
)

// The mocks have all methods of the services.
var (
	_ classic.ContactsService      = (*classicmock.MockContactsService)(nil)
	_ classic.UsersService         = (*classicmock.MockUsersService)(nil)
	_ classic.MeetingsService      = (*classicmock.MockMeetingsService)(nil)
	_ classic.ConversationsService = (*classicmock.MockConversationsService)(nil)
	_ classic.MessagesService      = (*classicmock.MockMessagesService)(nil)
	_ classic.AttachmentsService   = (*classicmock.MockAttachmentsService)(nil)
	_ classic.AccountsService      = (*classicmock.MockAccountsService)(nil)
	_ classic.PlaybooksService     = (*classicmock.MockPlaybooksService)(nil)
	_ classic.TeamsService         = (*classicmock.MockTeamsService)(nil)
	_ classic.AppService           = (*classicmock.MockAppService)(nil)
	_ classic.GDPRService          = (*classicmock.MockGDPRService)(nil)
	_ classic.SCIMService          = (*classicmock.MockSCIMService)(nil)
	_ classic.ReportsService       = (*classicmock.MockReportsService)(nil)
)

func TestNewClientFillsEveryService(t *testing.T) {
	client, mocks := classicmock.NewClient(t)
	services, fields := reflect.ValueOf(client).Elem(), reflect.ValueOf(mocks).Elem()
	for field, value := range services.Fields() {
		require.False(t, value.IsNil(), field.Name)
		assert.Same(t, fields.FieldByName(field.Name).Interface(), value.Interface(), field.Name)
	}
	assert.Equal(t, fields.NumField(), services.NumField())
}

func TestSequenceCanFail(t *testing.T) {
	client, mocks := classicmock.NewClient(t)
	mocks.Messages.EXPECT().All(mock.Anything, drift.ConversationID(7), classic.MessageListOptions{}).
		Return(drifttest.Seq(drift.ErrServer, &classic.Message{ID: 1}))
	messages, err := drift.Collect(client.Messages.All(t.Context(), 7, classic.MessageListOptions{}), 0)
	assert.ErrorIs(t, err, drift.ErrServer)
	assert.Len(t, messages, 1)
}

// exampleT stands in for a test.
type exampleT struct{}

func (exampleT) Logf(string, ...any)   {}
func (exampleT) Errorf(string, ...any) {}
func (exampleT) FailNow()              {}
func (exampleT) Cleanup(func())        {}

func ExampleNewClient() {
	t := exampleT{} // in a test: its *testing.T

	client, mocks := classicmock.NewClient(t)
	mocks.Conversations.EXPECT().
		GetTranscript(mock.Anything, drift.ConversationID(7)).
		Return("Dec 16, 03:41:59 PM EST Ann (Agent): Hello", nil)

	text, err := client.Conversations.GetTranscript(context.Background(), 7)
	fmt.Println(text, err)
	// Output: Dec 16, 03:41:59 PM EST Ann (Agent): Hello <nil>
}
