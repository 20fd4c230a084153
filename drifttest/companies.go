package drifttest

// The store keeps a team's company_id in order to list it; a team on the wire does not have that field.

func (st *store) listPeople(c *call) (any, error) {
	people, err := st.ofCompany(c, st.people.records)
	if err != nil {
		return nil, err
	}
	return c.page(people, c.matches)
}

func (st *store) listTeams(c *call) (any, error) {
	teams, err := st.ofCompany(c, st.teams.records)
	if err != nil {
		return nil, err
	}
	for i, team := range teams {
		teams[i] = team.without("company_id")
	}
	return c.page(teams, c.matches)
}

// ofCompany returns the records of the company that the path names.
func (st *store) ofCompany(c *call, records []object) ([]object, error) {
	company := c.path.text("companyId")
	if st.account(company) == nil {
		return nil, notFound("company", company)
	}
	var own []object
	for _, r := range records {
		if r.text("company_id") == company {
			own = append(own, r)
		}
	}
	return own, nil
}
