package drifttest

func (st *store) getTag(c *call) (any, error) {
	return st.tags.get(c.id("tagId"))
}

func (st *store) createTag(c *call) (any, error) {
	return st.tags.create(c.params, c.now), nil
}

func (st *store) updateTag(c *call) (any, error) {
	return st.tags.update(c.id("tagId"), c.params, c.now)
}

func (st *store) deleteTag(c *call) (any, error) {
	return nil, st.tags.delete(c.id("tagId"))
}
