package drifttest

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const defaultPageSize = 25

type page struct {
	Data       []object   `json:"data"`
	Pagination pagination `json:"pagination"`
}

type pagination struct {
	More bool   `json:"more"`
	Next string `json:"next,omitzero"`
}

// page returns the page that the call asks for, of the records that keep accepts.
func (c *call) page(records []object, keep func(object) bool) (any, error) {
	after, err := c.cursor()
	if err != nil {
		return nil, err
	}
	limit := defaultPageSize
	if n := c.params.integer("limit"); n > 0 {
		limit = int(n)
	}
	result := page{Data: []object{}}
	for _, r := range records {
		if r.integer("id") <= after || !keep(r) {
			continue
		}
		if len(result.Data) == limit {
			last := result.Data[limit-1].integer("id")
			result.Pagination = pagination{More: true, Next: c.operation.encodeCursor(last)}
			break
		}
		result.Data = append(result.Data, r)
	}
	return result, nil
}

// A cursor holds the last id that the client saw, so that it stays valid while records are added and deleted. It also
// holds the operation that issued it, so that other lists reject it.
func (o *operation) encodeCursor(last int64) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%s %d", o.name, last))
}

func (c *call) cursor() (int64, error) {
	next := c.params.text("next")
	if next == "" {
		return 0, nil
	}
	plain, err := base64.RawURLEncoding.DecodeString(next)
	digits, ours := strings.CutPrefix(string(plain), c.operation.name+" ")
	last, parseErr := strconv.ParseInt(digits, 10, 64)
	if err != nil || !ours || parseErr != nil {
		return 0, invalid("next", "must be a cursor of this list")
	}
	return last, nil
}

// matches applies every filter of the call.
func (c *call) matches(r object) bool {
	for name, want := range c.params {
		if !matches(r, name, want) {
			return false
		}
	}
	return true
}

func matches(r object, name string, want any) bool {
	switch name {
	case "limit", "next":
		return true
	case "background_mode", "participants", "scope", "use_precise_filters":
		return true // not a field of the listed records; participants has a separate filter
	case "email":
		return strings.EqualFold(r.text(name), want.(string))
	case "member_count":
		return memberCount(r) == want.(int64)
	case "search":
		return containsFold(searchable(r), want.(string))
	case "created_after", "start_after":
		at, ok := r[strings.TrimSuffix(name, "after")+"at"].(int64)
		return ok && at > want.(int64)
	case "created_before", "start_before":
		at, ok := r[strings.TrimSuffix(name, "before")+"at"].(int64)
		return ok && at < want.(int64)
	case "updated_since":
		return r.integer("updated_at") >= want.(int64)
	}
	return equal(r[name], want)
}

// equal compares a field with a filter. A list must have every value of the filter, a map every entry.
func equal(have, want any) bool {
	switch want := want.(type) {
	case []string:
		return hasAll(have, want)
	case []int64:
		return hasAll(have, want)
	case map[string]any:
		return hasEntries(have, want)
	case bool:
		value, _ := have.(bool) // absent is false
		return value == want
	}
	return have == want
}

func hasAll[T comparable](have any, want []T) bool {
	items, _ := have.([]T)
	return !slices.ContainsFunc(want, func(item T) bool { return !slices.Contains(items, item) })
}

func hasEntries(have any, want map[string]any) bool {
	members, _ := have.(map[string]any)
	for key, value := range want {
		if member, ok := members[key]; !ok || fmt.Sprint(member) != value {
			return false
		}
	}
	return true
}

// memberCount counts the users of a conversation that was added without a count.
func memberCount(conversation object) int64 {
	if n, ok := conversation["member_count"].(int64); ok {
		return n
	}
	return int64(len(conversation.integers("participants")))
}

// searchable returns the names and addresses of a record.
func searchable(r object) []string {
	attributes, _ := r["attributes"].(map[string]any)
	return []string{r.text("email"), r.text("name"), object(attributes).text("name")}
}

func containsFold(texts []string, part string) bool {
	return slices.ContainsFunc(texts, func(text string) bool {
		return strings.Contains(strings.ToLower(text), strings.ToLower(part))
	})
}

// hasAllFold reports whether have contains every wanted text, in any case.
func hasAllFold(have, want []string) bool {
	return !slices.ContainsFunc(want, func(text string) bool {
		return !slices.ContainsFunc(have, func(h string) bool { return strings.EqualFold(h, text) })
	})
}
