package fetch

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDecodeLeavesOutWhatDoesNotDecode(t *testing.T) {
	c, dropped, err := decode(json.RawMessage(`{"id":"7","status":["x"],"contactId":3,"updatedAt":{}}`), conversationID)
	require.NoError(t, err)
	assert.EqualValues(t, 7, c.ID)
	assert.EqualValues(t, 3, c.ContactID)
	assert.Equal(t, []string{"status", "updatedAt"}, dropped)
}

func TestDecodeNeedsID(t *testing.T) {
	for _, raw := range []string{`{}`, `null`, `7`, `"text"`, `[]`, `{"id":0}`, `{"id":-1}`, `{"id":1.5}`, `{"id":{}}`, ``} {
		_, _, err := decode(json.RawMessage(raw), messageID)
		assert.Error(t, err, raw)
	}
}

func TestOverlapped(t *testing.T) {
	for _, test := range []struct {
		cursor, next, want string
		read               int
	}{
		{"", "next=100", "next=80", 100},
		{"next=80", "next=180", "next=160", 100},
		{"", "100", "80", 100},
		{"", "123494893", "123494893", 100}, // an id
		{"", "b3BhcXVl", "b3BhcXVl", 100},
		{"", "30", "30", 30}, // too few to go back
		{"", "", "", 100},
	} {
		assert.Equal(t, test.want, overlapped(test.cursor, test.next, test.read), test)
	}
}
