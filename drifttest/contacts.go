package drifttest

import "strings"

func (st *store) getContact(c *call) (any, error) {
	return st.contacts.get(c.id("contactId"))
}

func (st *store) createContact(c *call) (any, error) {
	return st.addContact(c.params.without("background_mode"), c.now), nil
}

func (st *store) upsertByEmail(c *call) (any, error) {
	email := c.params.text("email")
	return st.changeContact(st.contactByEmail(email, c.now), object{"email": email}, c.now), nil
}

// contactByEmail returns the contact with an address, and creates it if there is none.
func (st *store) contactByEmail(email string, now int64) object {
	if contact := st.findContact(email); contact != nil {
		return contact
	}
	return st.addContact(object{"email": email}, now)
}

func (st *store) addContact(params object, now int64) object {
	contact := st.contacts.create(params, now)
	st.contactHappened(nil, contact, now)
	return contact
}

func (st *store) changeContact(contact, changes object, now int64) object {
	before := contactAttributes(contact)
	contact.update(changes, now)
	st.contactHappened(before, contact, now)
	return contact
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
	contact, err := st.contacts.get(c.id("contactId"))
	if err != nil {
		return nil, err
	}
	return st.changeContact(contact, c.params.without("background_mode"), c.now), nil
}

func (st *store) deleteContact(c *call) (any, error) {
	return nil, st.contacts.delete(c.id("contactId"))
}

func (st *store) listContacts(c *call) (any, error) {
	return c.page(st.contacts.records, c.matches)
}

func (st *store) matchEmail(c *call) (any, error) {
	email := c.params.text("email")
	if contact := st.findContact(email); contact != nil {
		return contact, nil
	}
	return nil, notFound("contact with the address", email)
}
