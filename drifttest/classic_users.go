package drifttest

import "slices"

// The store keeps users by the names of the classic API, which alone has them. What only SCIM shows is under "scim".

func showUser(user object) object { return user.without("scim") }

func (st *store) classicListUsers(*call) (any, error) {
	return each(st.users.records, showUser), nil
}

func (st *store) classicGetUser(c *call) (any, error) {
	user, err := st.users.get(c.id("userId"))
	return showUser(user), err
}

// classicGetUsers leaves out the users that do not exist.
func (st *store) classicGetUsers(c *call) (any, error) {
	users := object{}
	for _, id := range c.params.integers("userId") {
		if user, err := st.users.get(id); err == nil {
			users[decimal(id)] = showUser(user)
		}
	}
	return users, nil
}

func (st *store) classicUpdateUser(c *call) (any, error) {
	user, err := st.users.get(c.params.integer("userId"))
	if err != nil {
		return nil, err
	}
	user.merge(c.params.without("userId"))
	user["updatedAt"] = c.now
	return showUser(user), nil
}

// addUser adds a user; fields of the record take precedence over the usual ones.
func (st *store) addUser(record object, now int64) object {
	user := object{
		"orgId": orgID, "availability": "AVAILABLE", "role": "member", "verified": false, "bot": false,
		"createdAt": now, "updatedAt": now,
	}
	user.merge(record)
	return st.users.put(user)
}

// classicListTeams lists the teams of the organization, or those of one user.
func (st *store) classicListTeams(c *call) (any, error) {
	user, ofUser := c.path["userId"].(int64)
	teams := []any{}
	for _, team := range st.teams.records {
		if !ofUser || slices.Contains(team.integers("members"), user) {
			teams = append(teams, camelNames(map[string]any(team.without("company_id"))))
		}
	}
	return teams, nil
}
