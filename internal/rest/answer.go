package rest

import (
	"bytes"
	"errors"
	"mime"
	"net/http"
	"strings"

	"github.com/driftsdk/drift/internal/wire"
)

func openRecord[T any](answer Answer, in *Input) (*T, error) {
	return openOne(answer, in, decodeEcho[T])
}

func openLast[T any](answer Answer, in *Input) (*T, error) { return openOne(answer, in, decodeLast[T]) }

func openFirst[T any](answer Answer, in *Input) (*T, error) {
	rec, err := openOne(answer, in, decodeFirst[T])
	if errors.Is(err, ErrNoData) {
		err = ErrNoRecord
	}
	return rec, err
}

// openOne reads an answer whose data decode turns into a record. If the answer also reports an error, an empty list or
// object counts as no data.
func openOne[T any](answer Answer, in *Input, decode func(*wire.Decoder, *Input) (*T, error)) (*T, error) {
	var rec *T
	var data []byte
	var odd error
	envelope, err := open(answer.Body, in, func(dec *wire.Decoder) error {
		dec.Kind()
		mark := dec.Mark()
		rec, odd = decode(dec, in)
		data = dec.Past(mark, odd)
		return nil // read on: the answer may report an error later
	})
	if envelope.Failed && empty(data) {
		envelope.Data = false
	}
	if err := CheckEnvelope(envelope, err); err != nil {
		return nil, err
	}
	return rec, wire.Explain(odd)
}

func open(body []byte, in *Input, data func(*wire.Decoder) error) (wire.Envelope, error) {
	if in.NaN {
		body = wire.WithoutNaN(body)
	}
	if in.Bare {
		return wire.OpenBare(body, data)
	}
	return wire.Open(body, data)
}

// openRaw returns the data of an answer, or all of it if it has no envelope.
func openRaw(answer Answer, in *Input) (*[]byte, error) {
	return openOne(answer, in, func(dec *wire.Decoder, _ *Input) (*[]byte, error) {
		data := bytes.Clone(dec.Value())
		return (*[]byte)(&data), nil
	})
}

// openText returns the body of an answer, which may be any text. Only if the answer says that it is JSON, a string in
// it is the text.
func openText(answer Answer, _ *Input) (*string, error) {
	text := string(answer.Body)
	if !isJSON(answer.Header) {
		return &text, nil
	}
	var inner string
	envelope, err := wire.Open(answer.Body, func(dec *wire.Decoder) error {
		if kind := dec.Kind(); kind != '"' {
			return wire.Misplaced(kind, "a string")
		}
		return wire.Decode(dec, &inner)
	})
	if err == nil && envelope.Data {
		text = inner
	}
	return &text, nil
}

func isJSON(header http.Header) bool {
	media, _, _ := mime.ParseMediaType(header.Get("Content-Type"))
	return media == "application/json" || media == "text/json" || strings.HasSuffix(media, "+json")
}

// acknowledged returns ErrReported if an answer reports an error or says that it is not OK. The answer need not be
// JSON.
func acknowledged(answer Answer) error {
	var said struct {
		OK wire.Value `json:"ok"`
	}
	if wire.UnmarshalObject(answer.Body, &said) == nil && len(said.OK) > 0 && said.OK.Kind() != 'n' {
		if ok, err := wire.ParseBool(said.OK); err == nil && !ok {
			return ErrReported
		}
	}
	return Reported(answer.Body)
}

// empty reports whether a JSON value is an empty list or object.
func empty(value []byte) bool {
	return len(value) > 1 && (value[0] == '[' || value[0] == '{') && len(bytes.TrimSpace(value[1:len(value)-1])) == 0
}

// CheckEnvelope returns err, the error of opening the answer, or an error if the answer has no data.
func CheckEnvelope(envelope wire.Envelope, err error) error {
	switch {
	case err != nil:
		return err
	case envelope.Data:
		return nil
	case envelope.Failed:
		return ErrReported
	default:
		return ErrNoData
	}
}

// Reported returns ErrReported if an answer without a target reports an error. The answer need not be JSON.
func Reported(body []byte) error {
	envelope, err := wire.Open(body, func(dec *wire.Decoder) error {
		dec.Value()
		return nil
	})
	if err == nil && envelope.Failed && !envelope.Data {
		return ErrReported
	}
	return nil
}

// decodeFirst decodes the first record of a list, or a record that is not in a list. It ignores further records.
func decodeFirst[T any](dec *wire.Decoder, in *Input) (*T, error) {
	if dec.Kind() != '[' {
		return decodeEcho[T](dec, in)
	}
	var rec *T
	err := wire.DecodeList(dec, func(dec *wire.Decoder) (err error) {
		if rec != nil {
			dec.Value()
			return nil
		}
		rec, err = decodeEcho[T](dec, in)
		return err
	})
	if rec == nil && err == nil {
		err = ErrNoData
	}
	return rec, err
}

// decodeLast decodes the last record of a list, or a record that is not in a list. The list may be a member of the
// data.
func decodeLast[T any](dec *wire.Decoder, in *Input) (rec *T, err error) {
	mark := dec.Mark()
	if dec.Kind() == '{' {
		found, err := wire.DecodeMember(dec, in.At, func(dec *wire.Decoder) (err error) {
			rec, err = lastOf[T](dec, in)
			return err
		})
		if found {
			return rec, err
		}
		dec.Return(mark)
	}
	return lastOf[T](dec, in)
}

func lastOf[T any](dec *wire.Decoder, in *Input) (rec *T, err error) {
	if dec.Kind() != '[' {
		return decodeEcho[T](dec, in)
	}
	last := -1
	mark := dec.Mark()
	if err := wire.DecodeList(dec, func(dec *wire.Decoder) error { last++; dec.Value(); return nil }); err != nil {
		return nil, err
	}
	dec.Return(mark)
	n := -1
	err = wire.DecodeList(dec, func(dec *wire.Decoder) (err error) {
		if n++; n < last {
			dec.Value()
			return nil
		}
		rec, err = decodeEcho[T](dec, in)
		return err
	})
	if rec == nil && err == nil {
		err = ErrNoData
	}
	return rec, err
}

func decodeRecord[T any](dec *wire.Decoder) (*T, error) {
	rec := new(T)
	if err := wire.DecodeRecord(dec, rec); err != nil {
		return nil, err
	}
	return rec, nil
}

// decodeEcho decodes a record that must repeat values of the request. A record with other values belongs to another
// call, which happens if a proxy sends an extra answer.
func decodeEcho[T any](dec *wire.Decoder, in *Input) (*T, error) {
	dec.Kind()
	mark := dec.Mark()
	rec, err := decodeRecord[T](dec)
	if err != nil {
		return nil, err
	}
	if n := len(in.Path); n > 0 && in.Path[n-1].own {
		if err := wire.Expect(dec, mark, rec, "", in.Path[n-1].text, ErrForeign); err != nil {
			return nil, err
		}
	}
	for _, field := range in.Echoes {
		if err := wire.Expect(dec, mark, rec, field.Name, field.Value, ErrForeign); err != nil {
			return nil, err
		}
	}
	return rec, nil
}
