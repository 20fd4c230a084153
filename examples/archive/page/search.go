package page

import (
	"cmp"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/driftsdk/drift/examples/archive/store"
)

// Search is a filter as a user types it. Empty fields do not filter.
type Search struct {
	Words   string
	Status  string
	Agent   int64  // a user
	Contact string // an address or an id
	Tag     string
	From    string // a day, such as 2026-03-01
	To      string // the last day
	Files   bool
	after   string
	problem error // with a field that has no text
}

func parseSearch(query url.Values) Search {
	get := func(name string) string { return strings.TrimSpace(query.Get(name)) }
	s := Search{
		Words: get("q"), Status: get("status"), Contact: get("contact"), Tag: get("tag"),
		From: get("from"), To: get("to"), Files: get("files") != "", after: get("after"),
	}
	var err error
	if s.Agent, err = strconv.ParseInt(cmp.Or(get("agent"), "0"), 10, 64); err != nil {
		s.problem = fmt.Errorf("an agent is a number, not %q", get("agent"))
	}
	return s
}

// Narrowed reports whether there is a filter beside the words.
func (s Search) Narrowed() bool {
	s.Words, s.after = "", ""
	return s != Search{}
}

// Empty reports whether there is no filter.
func (s Search) Empty() bool { return s.Words == "" && !s.Narrowed() }

// query is the reverse of parseSearch.
func (s Search) query() string {
	query := url.Values{}
	set := func(name, value string) {
		if value != "" {
			query.Set(name, value)
		}
	}
	set("q", s.Words)
	set("status", s.Status)
	if s.Agent != 0 {
		set("agent", strconv.FormatInt(s.Agent, 10))
	}
	set("contact", s.Contact)
	set("tag", s.Tag)
	set("from", s.From)
	set("to", s.To)
	if s.Files {
		set("files", "1")
	}
	set("after", s.after)
	if len(query) == 0 {
		return ""
	}
	return "?" + query.Encode()
}

// A search of thousands of frequent words would take minutes.
const (
	mostWords     = 20
	longestSearch = 200
)

// Filter returns what the archive is asked for, or an error that the user can mend.
func (s Search) Filter() (f store.Filter, err error) {
	if s.problem != nil {
		return f, s.problem
	}
	if len(s.Words) > longestSearch || len(strings.Fields(s.Words)) > mostWords {
		return f, fmt.Errorf("a search has at most %d words and %d bytes", mostWords, longestSearch)
	}
	f = store.Filter{Words: s.Words, Status: s.Status, Agent: s.Agent, Tag: s.Tag, Files: s.Files}
	if strings.Contains(s.Contact, "@") {
		f.Email = s.Contact
	} else if s.Contact != "" {
		if f.Contact, err = strconv.ParseInt(s.Contact, 10, 64); err != nil {
			return f, fmt.Errorf("a contact is an address or a number, not %q", s.Contact)
		}
	}
	if f.From, err = parseDay(s.From); err != nil {
		return f, err
	}
	if f.To, err = parseDay(s.To); err != nil {
		return f, err
	}
	if !f.To.IsZero() {
		f.To = f.To.AddDate(0, 0, 1)
	}
	if f.After, err = store.ParsePosition(s.after); err != nil {
		return f, fmt.Errorf("%q is not a place in the list", s.after)
	}
	return f, nil
}

func parseDay(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return day, fmt.Errorf("a day is written like 2026-03-01, not like %q", text)
	}
	return day, nil
}
