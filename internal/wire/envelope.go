package wire

import (
	"bytes"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Envelope is the part of an answer around its data.
type Envelope struct {
	Data   bool // the answer has data other than null
	Null   bool // the data are null
	Failed bool // the answer has a top-level "error" or "errors" that is not empty

	pagination, links part
}

// The members of an envelope.
const (
	memberData = iota
	memberError
	memberErrors
	memberPagination
	memberLinks
)

var envelopeNames, pageNames, linkNames = func() (envelope, page, link names) {
	envelope.add("data", "", isNull)
	envelope.add("error", "", saysNothing)
	envelope.add("errors", "", saysNothing)
	envelope.add("pagination", "", saysNothing)
	envelope.add("links", "", saysNothing)
	page.add("more", "", isBlank)
	page.add("next", "", saysNothing)
	link.add("next", "", isBlank)
	return envelope, page, link
}()

// Open reads an answer: {"data": …, "pagination": …, "links": …}, or the data without an envelope. It calls data with
// the decoder at the data, and data must skip them. If the data are missing or null, it does not call data. An object
// without "data" counts as the data unless it reports an error. Names match like those of a record. If "data" is
// repeated, Open may call data several times; the last call counts, except that null does not replace other data. Paths
// of errors begin at the data. The envelope may refer to parts of the body.
func Open(body []byte, data func(*Decoder) error) (Envelope, error) {
	dec, err := newDecoder(body)
	defer dec.free()
	if err != nil {
		return Envelope{}, Explain(err)
	}
	var e Envelope
	if dec.Kind() == '{' {
		e, err = openEnvelope(dec, data)
		if err != nil || e.Data || e.Null || e.Failed {
			return e, Explain(err)
		}
		dec.at = 0
	}
	err = e.readData(dec, data)
	return e, Explain(err)
}

// OpenBare reads an answer that has no envelope: all of it is the data. The envelope says whether an error stands among
// them.
func OpenBare(body []byte, data func(*Decoder) error) (Envelope, error) {
	dec, err := newDecoder(body)
	defer dec.free()
	if err != nil {
		return Envelope{}, Explain(err)
	}
	var e Envelope
	if dec.Kind() == '{' {
		e, _ = openEnvelope(dec, func(dec *Decoder) error { dec.Value(); return nil })
		dec.at = 0
	}
	if e.Failed && !e.Data {
		return e, nil
	}
	err = e.readData(dec, data)
	return e, Explain(err)
}

// openEnvelope reads the members in order. If a member is repeated, it starts over with reopenEnvelope.
func openEnvelope(dec *Decoder, data func(*Decoder) error) (e Envelope, err error) {
	start, seen := dec.at, 0
	read := -1 // the position of the data that were read
	for dec.enter(); dec.more(); {
		name := dec.at
		member := envelopeNames.read(&dec.scanner, memberData)
		if member < 0 {
			dec.Value()
			continue
		}
		if seen&(1<<member) != 0 {
			return reopenEnvelope(dec, start, data, read, err)
		}
		seen |= 1 << member
		dec.Kind()
		value := dec.at
		if member == memberData {
			read = value
			if err = e.readData(dec, data); err != nil {
				dec.at = value
				dec.Value() // a repeated "data" may count instead
			}
			continue
		}
		e.take(dec, candidate{member: member, name: name, value: value})
	}
	return e, err
}

// reopenEnvelope reads only the members that count. The data at read were already read, with the result readErr.
func reopenEnvelope(dec *Decoder, start int, data func(*Decoder) error, read int, readErr error) (
	e Envelope, err error,
) {
	dec.at = start
	for _, c := range envelopeNames.choose(&dec.scanner, func(int) { dec.Value() }) {
		dec.at = c.value
		switch {
		case c.member != memberData:
			e.take(dec, c)
		case c.value == read:
			e.Data, e.Null, err = !c.absent, c.absent, readErr
		default:
			err = e.readData(dec, data)
		}
	}
	return e, err
}

func (e *Envelope) readData(dec *Decoder, data func(*Decoder) error) error {
	e.Null = dec.Kind() == 'n'
	e.Data = !e.Null
	if e.Null {
		dec.Value()
		return nil
	}
	return data(dec)
}

// take reads the value of a member beside the data.
func (e *Envelope) take(dec *Decoder, c candidate) {
	switch p := dec.part(c); c.member {
	case memberPagination:
		e.pagination = p
	case memberLinks:
		e.links = p
	default:
		e.Failed = e.Failed || !saysNothing(p.value)
	}
}

// part is a member of the answer or of one of its members.
type part struct {
	parent string // path of the object that has the member
	name   []byte
	value  jsontext.Value
}

// path returns the path of the part as the body spells it.
func (p part) path() string { return p.parent + pointer(p.name) }

// part returns a member of an object and skips it.
func (s *scanner) part(c candidate) part {
	s.at = c.name
	return part{name: s.string(), value: s.Value()}
}

// members returns the members of a part, which must be an object. An absent or empty part has no members.
func (p part) members(n *names) (found [2]part, err error) {
	switch kind := p.value.Kind(); {
	case len(p.value) == 0 || saysNothing(p.value):
		return found, nil
	case kind != '{':
		return found, Below(p.path(), Misplaced(kind, "an object"))
	}
	s := scanner{data: p.value}
	for s.enter(); s.more(); {
		c := candidate{name: s.at}
		if c.member = n.read(&s, 0); c.member < 0 {
			s.Value()
			continue
		}
		if found[c.member].value != nil {
			return p.chosen(n), nil
		}
		found[c.member] = s.part(c)
	}
	return p.present(n, found), nil
}

// chosen returns the members that count.
func (p part) chosen(n *names) (found [2]part) {
	s := scanner{data: p.value}
	for _, c := range n.choose(&s, func(int) { s.Value() }) {
		found[c.member] = s.part(c)
	}
	return p.present(n, found)
}

// present returns the members that have a value.
func (p part) present(n *names, found [2]part) [2]part {
	for i := range n.members {
		if len(found[i].value) > 0 && n.members[i].absent(found[i].value) {
			found[i] = part{}
		}
		found[i].parent = p.path()
	}
	return found
}

// saysNothing reports whether a value is empty: null, false, "", [] or {}.
func saysNothing(value jsontext.Value) bool {
	switch value.Kind() {
	case '"':
		return len(value) == len(emptyString)
	case '{', '[':
		return len(bytes.TrimSpace(value[1:len(value)-1])) == 0
	case '0', 't':
		return false
	}
	return true
}

// ErrNoCursor is the reason for rejecting a page whose next page cannot be asked for.
const ErrNoCursor = Reason("the answer announces a next page without a usable cursor")

// Next returns the cursor of the next page, or "" for the last page. It is pagination.next, or else the cursor in the
// query of links.next.
func (e Envelope) Next() (string, error) {
	cursor, announced, err := e.paginationNext()
	if cursor != "" || err != nil || announced == lastPage {
		return cursor, err
	}
	cursor, err = e.LinkCursor("next", "page_token", "cursor")
	if cursor == "" && err == nil && announced == nextPage {
		err = &Error{Path: e.pagination.path() + "/next", Reason: ErrNoCursor}
	}
	return cursor, err
}

// PageCursor returns pagination.next, or "" for the last page. It does not look at the links.
func (e Envelope) PageCursor() (string, error) {
	cursor, announced, err := e.paginationNext()
	if cursor == "" && err == nil && announced == nextPage {
		err = &Error{Path: e.pagination.path() + "/next", Reason: ErrNoCursor}
	}
	return cursor, err
}

// announced is what pagination.more says.
type announced int

const (
	nothing announced = iota
	lastPage
	nextPage
)

// paginationNext returns pagination.next unless pagination.more says that this is the last page.
func (e Envelope) paginationNext() (cursor string, more announced, err error) {
	page, err := e.pagination.members(&pageNames)
	if err != nil {
		return "", nothing, err
	}
	said, next := page[0], page[1]
	if len(said.value) > 0 {
		yes, err := ParseBool(said.value)
		if err != nil || !yes {
			return "", lastPage, Below(said.path(), err)
		}
		more = nextPage
	}
	if len(next.value) == 0 {
		return "", more, nil
	}
	cursor, err = ParseText(next.value)
	if err != nil {
		return "", more, &Error{Path: next.path(), Reason: ErrNoCursor}
	}
	return cursor, more, nil
}

// HasLinks reports whether the answer has links, even if they are an empty object.
func (e Envelope) HasLinks() bool { return e.links.value.Kind() == '{' }

// LinkCursor returns the value of the first of these parameters in the query of links.next, or "" if there is no such
// link. The link itself may name any host and is never followed.
func (e Envelope) LinkCursor(parameters ...string) (string, error) {
	links, err := e.links.members(&linkNames)
	if err != nil || len(links[0].value) == 0 {
		return "", err
	}
	link, err := ParseScalar(links[0].value)
	if err != nil {
		return "", Below(links[0].path(), err)
	}
	if cursor := QueryValue(link, parameters...); cursor != "" {
		return cursor, nil
	}
	return "", &Error{Path: links[0].path(), Reason: ErrNoCursor}
}

// QueryValue returns the first of these parameters that the query of a link has. The link may be relative, and parts of
// the query that cannot be parsed do not count.
func QueryValue(link string, parameters ...string) string {
	_, query, _ := strings.Cut(link, "?")
	query, _, _ = strings.Cut(query, "#")
	values, _ := url.ParseQuery(query) // on an error, values has the valid parts
	for _, name := range parameters {
		if value := values.Get(name); value != "" {
			return value
		}
	}
	return ""
}

// Fold returns the form of a name that is compared: in lower case, without underscores and dashes.
func Fold(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '_' || r == '-':
			return -1
		case 'A' <= r && r <= 'Z':
			return r + 'a' - 'A'
		}
		return r
	}, name)
}
