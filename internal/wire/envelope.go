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
// decoder at the data; where there are none, or null, it does not. An object without "data" counts as the data itself
// unless it reports an error. A name may come twice: the last call to data counts.
func Open(body []byte, data func(*Decoder) error) (Envelope, error) {
	dec := newDecoder(body)
	defer dec.free()
	if dec.PeekKind() != '{' {
		return openBare(dec, data)
	}
	var e Envelope
	err := e.read(dec, data)
	if err == nil {
		err = dec.atEnd()
	}
	if err != nil || e.Data || e.Null || e.Failed {
		return e, inData(err)
	}
	dec.reset(body)
	return openBare(dec, data)
}

func openBare(dec *Decoder, data func(*Decoder) error) (Envelope, error) {
	if dec.PeekKind() == 'n' {
		_, err := dec.ReadToken()
		if err == nil {
			err = dec.atEnd()
		}
		return Envelope{Null: true}, Explain(err)
	}
	err := data(dec)
	if err == nil {
		err = dec.atEnd()
	}
	return Envelope{Data: true}, Explain(err)
}

func (e *Envelope) read(dec *Decoder, data func(*Decoder) error) error {
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for dec.more('}') {
		name, err := dec.readName()
		if err != nil {
			return err
		}
		switch Fold(string(name)) {
		case "data":
			err = e.readData(dec, data)
		case "error", "errors":
			var value jsontext.Value
			value, err = dec.ReadValue()
			e.Failed = e.Failed || saysSomething(value)
		case "pagination":
			e.pagination, err = readCopy(dec)
		case "links":
			e.links, err = readCopy(dec)
		default:
			err = dec.SkipValue()
		}
		if err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}

func (e *Envelope) readData(dec *Decoder, data func(*Decoder) error) error {
	e.Null = dec.PeekKind() == 'n'
	e.Data = !e.Null
	if e.Null {
		return dec.SkipValue()
	}
	return data(dec)
}

func readCopy(dec *Decoder) (jsontext.Value, error) {
	value, err := dec.ReadValue()
	return value.Clone(), err
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
