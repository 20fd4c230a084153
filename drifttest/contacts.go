package drifttest

import "strings"

func (st *store) getContact(c *call) (any, error) {
	return st.contacts.get(c.id("contactId"))
}

func (st *store) createContact(c *call) (any, error) {
	return st.contacts.create(c.params.without("background_mode"), c.now), nil
}

func (st *store) upsertByEmail(c *call) (any, error) {
	email := c.params.text("email")
	if email == "" {
		return nil, invalid("email", "must not be empty")
	}
	return st.contactByEmail(email, c.now).update(object{"email": email}, c.now), nil
}

// contactByEmail finds the contact with an address, or makes one.
func (st *store) contactByEmail(email string, now int64) object {
	if contact := st.findContact(email); contact != nil {
		return contact
	}
	return st.contacts.create(object{"email": email}, now)
}

func (st *store) findContact(email string) object {
	for _, contact := range st.contacts.records {
		if strings.EqualFold(contact.text("email"), email) {
			return contact
		}
	}
	return nil
}

func (st *store) updateContact(c *call) (any, error) {
	return st.contacts.update(c.id("contactId"), c.params.without("background_mode"), c.now)
}

func (st *store) deleteContact(c *call) (any, error) {
	return nil, st.contacts.delete(c.id("contactId"))
}

func (st *store) listContacts(c *call) (any, error) {
	return c.page(st.contacts.records, c.matches)
}

func (st *store) matchEmail(c *call) (any, error) {
	email := c.params.text("email")
	if email == "" {
		return nil, invalid("email", "must not be empty")
	}
	if contact := st.findContact(email); contact != nil {
		return contact, nil
	}
	return nil, notFound("contact with the address", email)
}
