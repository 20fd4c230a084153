package wire

import (
	"bytes"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Envelope is what an answer says beside its data.
type Envelope struct {
	Data   bool // there are data, and they are not null
	Null   bool // the data are null
	Failed bool // a top-level "error" or "errors" says something

	pagination, links jsontext.Value
}

// Open reads an answer: {"data": …, "pagination": …, "links": …}, or the data without an envelope. It calls data with the
// decoder at the data, which it must go past; where there are none, or null, it does not. An object without "data" counts as
// the data itself unless it reports an error. A name may come twice: the last call to data counts. Paths of errors begin at
// the data. The envelope may hold parts of the body.
func Open(body []byte, data func(*Decoder) error) (Envelope, error) {
	dec, err := newDecoder(body)
	defer dec.free()
	if err != nil {
		return Envelope{}, Explain(err)
	}
	if dec.Kind() == '{' {
		e, err := openEnvelope(dec, data)
		if err != nil || e.Data || e.Null || e.Failed {
			return e, Explain(err)
		}
		dec.at = 0
	}
	var e Envelope
	err = e.readData(dec, data)
	return e, Explain(err)
}

func openEnvelope(dec *Decoder, data func(*Decoder) error) (e Envelope, err error) {
	for dec.enter(); err == nil && dec.more(); {
		switch Fold(string(dec.string())) {
		case "data":
			err = e.readData(dec, data)
		case "error", "errors":
			e.Failed = saysSomething(dec.Value()) || e.Failed
		case "pagination":
			e.pagination = dec.Value()
		case "links":
			e.links = dec.Value()
		default:
			dec.Value()
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

// saysSomething tells an error from an empty place for one: null, false, "", [] and {} are no errors.
func saysSomething(value jsontext.Value) bool {
	switch string(bytes.Join(bytes.Fields(value), nil)) {
	case "", "null", "false", `""`, "[]", "{}":
		return false
	}
	return true
}

const errNoCursor = Reason("further pages are announced without a usable cursor")

// Next returns the cursor of the next page, "" on the last one: pagination.next, else the cursor in the query of
// links.next. The link itself may name any host and is never followed.
func (e Envelope) Next() (string, error) {
	var page struct {
		More *bool          `json:"more"`
		Next jsontext.Value `json:"next"`
	}
	if e.pagination != nil {
		if err := Unmarshal(e.pagination, &page); err != nil {
			return "", Below("/pagination", err)
		}
	}
	if page.More != nil && !*page.More {
		return "", nil
	}
	if cursor, err := cursorText(page.Next); cursor != "" || err != nil {
		return cursor, err
	}
	if cursor, err := e.linkCursor(); cursor != "" || err != nil {
		return cursor, err
	}
	if page.More != nil {
		return "", &Error{Path: "/pagination/next", Reason: errNoCursor}
	}
	return "", nil
}

// cursorText reads a cursor, which may be a string or a number.
func cursorText(value jsontext.Value) (string, error) {
	if !saysSomething(value) {
		return "", nil
	}
	cursor, err := scalarText(value)
	if err != nil {
		return "", &Error{Path: "/pagination/next", Reason: errNoCursor}
	}
	return cursor, nil
}

func (e Envelope) linkCursor() (string, error) {
	var links struct {
		Next string `json:"next"`
	}
	if e.links != nil {
		if err := Unmarshal(e.links, &links); err != nil {
			return "", Below("/links", err)
		}
	}
	if links.Next == "" {
		return "", nil
	}
	_, query, _ := strings.Cut(links.Next, "?")
	query, _, _ = strings.Cut(query, "#")
	if values, err := url.ParseQuery(query); err == nil {
		for _, key := range []string{"next", "page_token", "cursor"} {
			if cursor := values.Get(key); cursor != "" {
				return cursor, nil
			}
		}
	}
	return "", &Error{Path: "/links/next", Reason: errNoCursor}
}

// Fold returns a name without case, underscores and dashes, as names are compared.
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
