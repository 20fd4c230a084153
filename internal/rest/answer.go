package rest

import (
	"bytes"
	"errors"

	"github.com/driftsdk/drift/internal/wire"
)

func openRecord[T any](body []byte, in *Input) (*T, error) { return openOne(body, in, decodeEcho[T]) }

func openFirst[T any](body []byte, in *Input) (*T, error) {
	rec, err := openOne(body, in, decodeFirst[T])
	if errors.Is(err, ErrNoData) {
		err = ErrNoRecord
	}
	return rec, err
}

// openOne reads an answer whose data decode turns into a record. If the answer also reports an error, an empty list or
// object counts as no data.
func openOne[T any](body []byte, in *Input, decode func(*wire.Decoder, *Input) (*T, error)) (*T, error) {
	var rec *T
	var data []byte
	var odd error
	envelope, err := wire.Open(body, func(dec *wire.Decoder) error {
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
func decodeFirst[T any](dec *wire.Decoder, _ *Input) (*T, error) {
	if dec.Kind() != '[' {
		return decodeRecord[T](dec)
	}
	var rec *T
	err := wire.DecodeList(dec, func(dec *wire.Decoder) (err error) {
		if rec != nil {
			dec.Value()
			return nil
		}
		rec, err = decodeRecord[T](dec)
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
		if err := wire.Expect(dec, mark, rec, "id", in.Path[n-1].text, ErrForeign); err != nil {
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
