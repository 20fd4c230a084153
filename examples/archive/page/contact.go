package page

import (
	"net/http"
	"strconv"

	"github.com/driftsdk/drift/examples/archive/store"
)

// profile is the content of the page of a contact.
type profile struct {
	Contact person
	Problem string
	Rows    []row
	More    string
}

func (s *server) contact(w http.ResponseWriter, r *http.Request) error {
	id, err := id(r)
	if err != nil {
		return err
	}
	contact, err := s.archive.Contact(r.Context(), id)
	if err != nil {
		return err
	}
	page, err := s.archive.Page(r.Context(), store.Filter{Contact: id, Limit: listed})
	if err != nil {
		return err
	}
	content := newProfile(contact, page)
	if page.Next != (store.Position{}) {
		content.More = s.site.Home() + Search{Contact: strconv.FormatInt(id, 10)}.query()
	}
	return s.show(w, http.StatusOK, "contact", view{
		Title: content.Contact.Name, Section: "conversations", Content: content,
	})
}

func newProfile(contact *store.Contact, page *store.Page) profile {
	content := profile{Contact: newPerson(contact), Rows: rows(page.Rows)}
	switch {
	case !contact.GoneAt.IsZero():
		content.Problem = "Drift no longer had this contact when it was read last. This is what was archived before."
	case contact.Raw == nil:
		content.Problem = "This contact is not archived yet. Run archive sync."
	}
	return content
}
