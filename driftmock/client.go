package driftmock

import (
	"github.com/stretchr/testify/mock"

	"github.com/driftsdk/drift"
)

// TestingT is the part of [testing.TB] that the mocks use.
type TestingT interface {
	mock.TestingT
	Cleanup(func())
}

// Mocks are the mocks in a client of [NewClient], under the names of the client's fields.
type Mocks struct {
	Conversations *MockConversationsService
	Messages      *MockMessagesService
	Contacts      *MockContactsService
	Notes         *MockNotesService
	Tags          *MockTagsService
	Meetings      *MockMeetingsService
	Companies     *MockCompaniesService
	Driftbot      *MockDriftbotService
}

// NewClient returns a client whose services are all mocks, and the mocks themselves, on which you set expectations.
// They are checked when the test ends. The client sends nothing: its Do and Quota return an error, and its Close does
// nothing.
func NewClient(t TestingT) (*drift.Client, *Mocks) {
	m := &Mocks{
		Conversations: NewMockConversationsService(t),
		Messages:      NewMockMessagesService(t),
		Contacts:      NewMockContactsService(t),
		Notes:         NewMockNotesService(t),
		Tags:          NewMockTagsService(t),
		Meetings:      NewMockMeetingsService(t),
		Companies:     NewMockCompaniesService(t),
		Driftbot:      NewMockDriftbotService(t),
	}
	return &drift.Client{
		Conversations: m.Conversations,
		Messages:      m.Messages,
		Contacts:      m.Contacts,
		Notes:         m.Notes,
		Tags:          m.Tags,
		Meetings:      m.Meetings,
		Companies:     m.Companies,
		Driftbot:      m.Driftbot,
	}, m
}
