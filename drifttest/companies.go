package drifttest

import "slices"

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

// ofCompany returns the records of the company that the path names. A company exists if it has people or teams.
func (st *store) ofCompany(c *call, records []object) ([]object, error) {
	company := c.path.text("companyId")
	belongs := func(r object) bool { return r.text("company_id") == company }
	if !slices.ContainsFunc(st.people.records, belongs) && !slices.ContainsFunc(st.teams.records, belongs) {
		return nil, notFound("company", company)
	}
	var own []object
	for _, r := range records {
		if belongs(r) {
			own = append(own, r)
		}
	}
	return own, nil
}
