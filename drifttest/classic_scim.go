package drifttest

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

const (
	scimListSchema = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	scimUserSchema = "urn:ietf:params:scim:schemas:core:2.0:User"
)

// scimUser shows a user of the account by the names of SCIM. Its id is a string.
func scimUser(user object) object {
	first, last, _ := strings.Cut(user.text("name"), " ")
	role := object{"value": strings.ToUpper(user.text("role")), "display": user.text("role"), "primary": true}
	shown := object{
		"schemas":      []string{scimUserSchema},
		"id":           decimal(user.integer("id")),
		"userName":     user.text("email"),
		"displayName":  user.text("name"),
		"name":         object{"formatted": user.text("name"), "givenName": first, "familyName": last},
		"active":       true,
		"emails":       []object{{"value": user.text("email"), "primary": true}},
		"phoneNumbers": []object{{"primary": true}},
		"photos":       []object{{}},
		"roles":        []object{role},
		"locale":       user.text("locale"),
		"externalId":   nil,
		"meta":         nil,
	}
	if phone := user.text("phone"); phone != "" {
		shown["phoneNumbers"] = []object{{"value": phone, "display": phone, "primary": true}}
	}
	given, _ := user["scim"].(object)
	maps.Copy(shown, given)
	return shown
}

// scimList counts from 1. Its itemsPerPage is 0, as in the service.
func (st *store) scimList(c *call) (any, error) {
	keep, err := scimFilter(c.params.text("filter"))
	if err != nil {
		return nil, err
	}
	start, count := max(c.params.integer("startIndex"), 1), c.params.integer("count")
	if count == 0 {
		count = 100
	}
	users := []object{}
	total := int64(0)
	for _, user := range st.users.records {
		shown := scimUser(user)
		if user.flag("bot") || !keep(shown) {
			continue
		}
		total++
		if total >= start && total-start < count {
			users = append(users, shown)
		}
	}
	return bare{object{
		"schemas":      []string{scimListSchema},
		"id":           nil,
		"externalId":   nil,
		"meta":         nil,
		"totalResults": total,
		"Resources":    users,
		"startIndex":   start,
		"itemsPerPage": 0,
	}}, nil
}

// scimFilter understands one comparison, such as userName eq "ada@acme.example".
func scimFilter(filter string) (func(object) bool, error) {
	if filter == "" {
		return func(object) bool { return true }, nil
	}
	name, rest, _ := strings.Cut(filter, " ")
	operator, value, _ := strings.Cut(rest, " ")
	text, closed := strings.CutSuffix(strings.TrimPrefix(value, `"`), `"`)
	known := slices.Contains([]string{"id", "userName", "displayName", "externalId"}, name)
	if !known || operator != "eq" || !closed || !strings.HasPrefix(value, `"`) {
		return nil, invalid("filter", `must be like userName eq "ada@acme.example"`)
	}
	return func(user object) bool { return strings.EqualFold(user.text(name), text) }, nil
}

func (st *store) scimGet(c *call) (any, error) {
	user, err := st.scimFind(c)
	if err != nil {
		return nil, err
	}
	return bare{scimUser(user)}, nil
}

// scimFind returns the user in the path. Bots are not provisioned.
func (st *store) scimFind(c *call) (object, error) {
	user, err := st.users.get(c.id("scimUserId"))
	if err != nil || user.flag("bot") {
		return nil, notFound("user", c.id("scimUserId"))
	}
	return user, nil
}

func (st *store) scimCreate(c *call) (any, error) {
	userName := c.params.text("userName")
	if st.userNameIsTaken(userName, nil) || slices.Contains(st.deprovisioned, userName) {
		return nil, conflict("There is, or was, a user with this userName")
	}
	user := st.addUser(object{}, c.now)
	changeScim(user, c.params, c.now)
	return bare{scimUser(user)}, nil
}

func (st *store) userNameIsTaken(userName string, by object) bool {
	return userName != "" && slices.ContainsFunc(st.users.records, func(r object) bool {
		return strings.EqualFold(r.text("email"), userName) && (by == nil || r["id"] != by["id"])
	})
}

func (st *store) scimReplace(c *call) (any, error) {
	return st.scimChange(c, func(user object) {
		delete(user, "scim")
		delete(user, "locale")
	})
}

// scimUpdate also takes isActive: false, which deletes the user.
func (st *store) scimUpdate(c *call) (any, error) {
	return st.scimChange(c, func(object) {})
}

func (st *store) scimChange(c *call, prepare func(user object)) (any, error) {
	user, err := st.scimFind(c)
	if err != nil {
		return nil, err
	}
	if st.userNameIsTaken(c.params.text("userName"), user) {
		return nil, conflict("There is a user with this userName")
	}
	prepare(user)
	changeScim(user, c.params, c.now)
	shown := scimUser(user)
	if active, given := c.params["isActive"]; given && active == false {
		shown["active"] = false
		return bare{shown}, st.deprovision(user)
	}
	return bare{shown}, nil
}

// changeScim writes what SCIM says of a user. What the user's own record has no place for is kept as it came.
func changeScim(user, params object, now int64) {
	user.merge(pick(params, "name=displayName email=userName locale"))
	if roles := params.objects("roles"); len(roles) > 0 {
		user["role"] = strings.ToLower(roles[0].text("value"))
	}
	kept, _ := user["scim"].(object)
	if kept == nil {
		kept = object{}
		user["scim"] = kept
	}
	kept.merge(params.without("displayName", "userName", "locale", "schemas", "isActive"))
	user["updatedAt"] = now
}

func (st *store) scimDelete(c *call) (any, error) {
	user, err := st.scimFind(c)
	if err != nil {
		return nil, err
	}
	return okay(http.StatusOK), st.deprovision(user)
}

// deprovision removes a user, whose userName cannot be used again.
func (st *store) deprovision(user object) error {
	st.deprovisioned = append(st.deprovisioned, user.text("email"))
	return st.users.delete(user.integer("id"))
}
