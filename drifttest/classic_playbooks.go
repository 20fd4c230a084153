package drifttest

// The store keeps playbooks and landing pages by the names of the classic API, which alone has them.

func (st *store) classicListPlaybooks(*call) (any, error) {
	return bare{append([]object{}, st.playbooks.records...)}, nil
}

func (st *store) classicListLandingPages(*call) (any, error) {
	return bare{each(st.landingPages.records, func(page object) object { return page.without("id") })}, nil
}
