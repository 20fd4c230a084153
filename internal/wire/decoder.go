package wire

import (
	"bytes"
	"errors"
	"io"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Decoder reads the data of an answer. It never leaves this module.
type Decoder struct {
	jsontext.Decoder
	input bytes.Buffer
	texts [256]string // that were read lately, by hash
}

// decoders are kept because each owns buffers that are worth more than the value it reads.
var decoders = sync.Pool{New: func() any { return new(Decoder) }}

func newDecoder(data []byte) *Decoder {
	dec := decoders.Get().(*Decoder)
	dec.reset(data)
	return dec
}

// free lets go of the data.
func (d *Decoder) free() {
	d.reset(nil)
	decoders.Put(d)
}

func (d *Decoder) reset(data []byte) {
	d.input = *bytes.NewBuffer(data)
	d.Reset(&d.input, reading)
}

// maxShort is the length up to which a text is worth looking up: names, statuses, labels and tags come again and again.
const maxShort = 32

// text returns a string, the same one for a short text that was read lately.
func (d *Decoder) text(text []byte) string {
	if len(text) > maxShort {
		return string(text)
	}
	hash := uint32(2166136261) // FNV-1a: an answer that makes texts collide makes them be copied, and nothing more
	for _, b := range text {
		hash = (hash ^ uint32(b)) * 16777619
	}
	known := &d.texts[hash%uint32(len(d.texts))]
	if *known != string(text) {
		*known = string(text)
	}
	return *known
}

// more reports whether a list or an object has a further member; end is its closing kind.
func (d *Decoder) more(end jsontext.Kind) bool {
	kind := d.PeekKind()
	return kind != end && kind != 0
}

func (d *Decoder) atEnd() error {
	switch _, err := d.ReadToken(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	default:
		return Reason("something follows the JSON value")
	}
}

// readName reads the name of a member, which may be a part of what is decoded.
func (d *Decoder) readName() ([]byte, error) {
	quoted, err := d.ReadValue()
	if err != nil {
		return nil, err
	}
	return unquoted(quoted)
}

// Decode decodes the next value of dec into out.
func Decode(dec *Decoder, out any) error {
	return json.UnmarshalDecode(&dec.Decoder, out, reading)
}

// DecodeList calls item for every element of the list that comes next.
func DecodeList(dec *Decoder, item func(*Decoder) error) error {
	if dec.PeekKind() != '[' {
		return Misplaced(dec, "a list")
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for dec.more(']') {
		if err := item(dec); err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}
