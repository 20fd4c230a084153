package page

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/driftsdk/drift/examples/archive/storetest"
)

func TestContact(t *testing.T) {
	f := newFixture(t)
	f.acme()
	page := get(t, f.archive, "/contacts/101")
	for _, want := range []string{"<h1>Grace Whitfield</h1>", "<dt>company</dt>", "Harborview Clinics", "as received"} {
		assert.Contains(t, page, want)
	}
	assert.NotContains(t, page, "<dt>events</dt>", "it is empty")
	assert.Equal(t, []string{"4"}, listedIDs(page))
	assert.Contains(t, get(t, storetest.Open(t), "/contacts/103"), "This contact is not archived yet.")
}

func TestContactWithManyConversations(t *testing.T) {
	f := newFixture(t)
	for range listed + 1 {
		f.talk(7, map[string]any{"name": "Ada"}, "open")
	}
	page := get(t, f.archive, "/contacts/7")
	assert.Len(t, listedIDs(page), listed)
	assert.Contains(t, page, `href="/`+key+`/?contact=7"`)
}
