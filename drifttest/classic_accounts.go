package drifttest

import (
	"fmt"
	"maps"
	"net/http"
)

// An account is a company: the id of one is the id of the other. The store keeps accounts by the names of the classic
// API, under a running number that is not shown.

func showAccount(account object) object { return account.without("id") }

func (st *store) account(id string) object {
	for _, account := range st.accounts.records {
		if account.text("accountId") == id {
			return account
		}
	}
	return nil
}

// addAccount adds an account; fields of the record take precedence over the usual ones.
func (st *store) addAccount(record object, now int64) object {
	account := object{
		"ownerId": tokenUser, "deleted": false, "targeted": false, "customProperties": []any{},
		"createDateTime": now, "updateDateTime": now,
	}
	account.merge(record)
	if known := st.account(account.text("accountId")); known != nil {
		account["id"] = known["id"]
	}
	st.accounts.put(account)
	if account.text("accountId") == "" {
		account["accountId"] = fmt.Sprintf("%d_%s", account.integer("id"), account.text("domain"))
	}
	return account
}

// ensureAccount adds the account of a company that has none yet.
func (st *store) ensureAccount(company string, now int64) {
	if st.account(company) == nil {
		st.addAccount(object{"accountId": company, "name": company, "domain": company}, now)
	}
}

func (st *store) classicCreateAccount(c *call) (any, error) {
	if st.domainIsTaken(c.params.text("domain"), nil) {
		return nil, conflict("There is an account with this domain")
	}
	return showAccount(st.addAccount(c.params, c.now)), nil
}

func (st *store) domainIsTaken(domain string, by object) bool {
	for _, account := range st.accounts.records {
		other := by == nil || account["id"] != by["id"]
		if domain != "" && account.text("domain") == domain && other && !account.flag("deleted") {
			return true
		}
	}
	return false
}

func (st *store) classicGetAccount(c *call) (any, error) {
	id := c.path.text("accountId")
	account := st.account(id)
	if account == nil {
		return nil, notFound("account", id)
	}
	return showAccount(account), nil
}

// classicListAccounts pages by offset. The next page is a URL without a host.
func (st *store) classicListAccounts(c *call) (any, error) {
	index, size := c.params.integer("index"), c.params.integer("size")
	if size == 0 {
		size = 10
	}
	accounts := []object{}
	total := int64(0)
	for _, account := range st.accounts.records {
		if account.flag("deleted") {
			continue
		}
		if total >= index && total-index < size {
			accounts = append(accounts, showAccount(account))
		}
		total++
	}
	result := object{"accounts": accounts, "total": total}
	if total-size > index {
		result["next"] = fmt.Sprintf("/accounts?index=%d&size=%d", index+size, size)
	}
	return result, nil
}

func (st *store) classicUpdateAccount(c *call) (any, error) {
	id := c.params.text("accountId")
	account := st.account(id)
	switch {
	case account == nil:
		return nil, notFound("account", id)
	case st.domainIsTaken(c.params.text("domain"), account):
		return nil, conflict("There is an account with this domain")
	}
	changes := maps.Clone(c.params)
	changes["updateDateTime"] = c.now
	account.merge(changes)
	return showAccount(account), nil
}

// classicDeleteAccount marks the account as deleted: it can still be read.
func (st *store) classicDeleteAccount(c *call) (any, error) {
	id := c.path.text("accountId")
	account := st.account(id)
	if account == nil {
		return nil, notFound("account", id)
	}
	account["deleted"] = true
	account["updateDateTime"] = c.now
	return okay(http.StatusOK), nil
}
