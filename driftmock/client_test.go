package driftmock_test

import (
	"context"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/driftmock"
	"github.com/driftsdk/drift/drifttest"
)

// exampleT stands in for a test, and keeps what is reported to it.
type exampleT struct {
	failures []string
	cleanups []func()
}

func (t *exampleT) Logf(string, ...any) {}
func (t *exampleT) Cleanup(f func())    { t.cleanups = append(t.cleanups, f) }
func (t *exampleT) FailNow()            { runtime.Goexit() }

func (t *exampleT) Errorf(format string, args ...any) {
	t.failures = append(t.failures, fmt.Sprintf(format, args...))
}

func (t *exampleT) end() {
	for _, f := range slices.Backward(t.cleanups) {
		f()
	}
}

// failuresOf runs a test against mocks and returns what it reported.
func failuresOf(test func(*drift.Client, *driftmock.Mocks)) []string {
	t := &exampleT{}
	done := make(chan struct{})
	go func() { // FailNow ends the goroutine
		defer close(done)
		defer t.end()
		test(driftmock.NewClient(t))
	}()
	<-done
	return t.failures
}

func TestNewClientFillsEveryService(t *testing.T) {
	client, mocks := driftmock.NewClient(t)
	services, fields := reflect.ValueOf(client).Elem(), reflect.ValueOf(mocks).Elem()
	filled := 0
	for field, value := range services.Fields() {
		if !field.IsExported() {
			continue
		}
		require.False(t, value.IsNil(), field.Name)
		assert.Same(t, fields.FieldByName(field.Name).Interface(), value.Interface(), field.Name)
		filled++
	}
	assert.Equal(t, fields.NumField(), filled)
}

func TestUnmetExpectationFails(t *testing.T) {
	failures := failuresOf(func(_ *drift.Client, mocks *driftmock.Mocks) {
		mocks.Tags.EXPECT().Delete(mock.Anything, drift.TagID(3)).Return(nil)
	})
	require.Len(t, failures, 1)
	assert.Contains(t, failures[0], "0 out of 1 expectation(s) were met")
}

func TestUnexpectedCallFails(t *testing.T) {
	failures := failuresOf(func(client *drift.Client, mocks *driftmock.Mocks) {
		mocks.Tags.EXPECT().Get(mock.Anything, drift.TagID(3)).Return(&drift.Tag{ID: 3}, nil).Maybe()
		_, _ = client.Tags.Get(context.Background(), 4)
	})
	require.NotEmpty(t, failures)
	assert.Contains(t, failures[0], "Get")
}

func TestOptions(t *testing.T) {
	ctx := t.Context()
	bulk, once := drift.WithBulk(), drift.WithoutRetry()

	tests := map[string]struct {
		expected []any // the expectation's last argument
		given    []drift.CallOption
		fails    bool
	}{
		"none expected, none given":      {nil, nil, false},
		"none expected, one given":       {nil, []drift.CallOption{bulk}, true},
		"any expected, none given":       {[]any{mock.Anything}, nil, false},
		"any expected, one given":        {[]any{mock.Anything}, []drift.CallOption{bulk}, false},
		"any expected, two given":        {[]any{mock.Anything}, []drift.CallOption{bulk, once}, false},
		"two by a matcher, two given":    {[]any{mock.MatchedBy(two)}, []drift.CallOption{bulk, once}, false},
		"two by a matcher, one is given": {[]any{mock.MatchedBy(two)}, []drift.CallOption{bulk}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			failures := failuresOf(func(client *drift.Client, mocks *driftmock.Mocks) {
				mocks.Contacts.EXPECT().Get(mock.Anything, drift.ContactID(1), test.expected...).Return(&drift.Contact{ID: 1}, nil)
				contact, err := client.Contacts.Get(ctx, 1, test.given...)
				assert.NoError(t, err)
				assert.Equal(t, drift.ContactID(1), contact.ID)
			})
			assert.Equal(t, test.fails, len(failures) > 0, "%v", failures)
		})
	}
}

func two(opts []drift.CallOption) bool { return len(opts) == 2 }

func TestRunAndReturnGetsTheOptions(t *testing.T) {
	client, mocks := driftmock.NewClient(t)
	mocks.Meetings.EXPECT().Delete(mock.Anything, drift.MeetingID(5), mock.Anything).
		RunAndReturn(func(_ context.Context, id drift.MeetingID, opts ...drift.CallOption) error {
			assert.Len(t, opts, 2)
			return fmt.Errorf("meeting %s: %w", id, drift.ErrNotFound)
		})
	err := client.Meetings.Delete(t.Context(), 5, drift.WithBulk(), drift.WithoutRetry())
	assert.ErrorIs(t, err, drift.ErrNotFound)
}

func TestSequenceCanFail(t *testing.T) {
	client, mocks := driftmock.NewClient(t)
	mocks.Companies.EXPECT().AllTeams(mock.Anything, drift.CompanyID("acme.example"), drift.CompanyListTeamsOptions{}).
		Return(drifttest.Seq(drift.ErrServer, &drift.Team{ID: 1}))
	teams, err := drift.Collect(client.Companies.AllTeams(t.Context(), "acme.example", drift.CompanyListTeamsOptions{}), 0)
	assert.ErrorIs(t, err, drift.ErrServer)
	assert.Len(t, teams, 1)
}

// A view keeps the mocks, so that code under test may make one.
func TestViewOfMocks(t *testing.T) {
	client, mocks := driftmock.NewClient(t)
	mocks.Notes.EXPECT().Get(mock.Anything, drift.ConversationID(1), drift.NoteID(2)).Return(nil, drift.ErrNotFound)
	_, err := client.With(drift.WithBulk()).Notes.Get(t.Context(), 1, 2)
	assert.ErrorIs(t, err, drift.ErrNotFound)
	assert.Error(t, client.Do(t.Context(), drift.Request{Path: "v2/tags"}, nil))
	assert.NoError(t, client.Close())
}
