package drifttest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/driftsdk/drift/drifttest"
)

func TestUnknownOperationSuggestsTheNearest(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"conversation.get":                       `"conversations.get"`,
		"contacts.creat":                         `"contacts.create"`,
		"classic.contact.get":                    `"classic.contacts.get"`,
		"classic.conversations.transcript":       `"classic.conversations.getTranscript"`,
		"Messages.Create":                        `"messages.create"`,
		"oauth.tokens":                           `"oauth.token"`,
		"GET v2/contact/{contactId}":             `"GET v2/contacts/{contactId}"`,
		"POST v2/conversations/{id}/message":     `"POST v2/conversations/{conversationId}/messages"`,
		"something that is unlike any operation": "",
	} {
		tb := &fakeTB{}
		srv := drifttest.Start(tb)
		srv.Fail(name, drifttest.Fault{Status: 500})
		assert.Zero(t, srv.Count(name))
		srv.Close()
		message := `unknown operation "` + name + `"`
		if want != "" {
			message += "; did you mean " + want + "?"
		}
		assert.Equal(t, []string{"drifttest: Fail: " + message, "drifttest: Count: " + message}, tb.fatals)
	}
}
