package wire

import "reflect"

// UnmarshalKeep decodes one JSON value as UnmarshalObject does, but keeps what does not fit: such a value joins the
// members that have no field, in the innermost object that has a place for them. So does the value of a second name
// that lost against the field's own name. out may point to a value of any type.
func UnmarshalKeep(data []byte, out any) error {
	dec, err := newDecoder(data)
	defer dec.free()
	if err != nil {
		return Explain(err)
	}
	return decodeKeep(dec, out)
}

// DecodeKeep is UnmarshalKeep for a value whose grammar was checked before.
func (v Value) DecodeKeep(out any) error {
	dec := decoders.Get().(*Decoder)
	defer dec.free()
	dec.data, dec.plain = v, false
	return decodeKeep(dec, out)
}

func decodeKeep(dec *Decoder, out any) error {
	dec.keeps = true
	v := reflect.ValueOf(out).Elem()
	v.SetZero()
	return setterOf(v.Type())(dec, v)
}

// setField decodes the next value, the one of the member whose name stands there.
func (l *layout) setField(dec *Decoder, v reflect.Value, f *field, name int) error {
	err := f.set(dec, v.Field(f.index))
	if err == nil || !dec.keeps || l.rest < 0 {
		return err
	}
	v.Field(f.index).SetZero()
	l.keep(dec, v, name)
	return nil
}

// keepLosers keeps the values that a second name has while the field's own name has one too.
func (l *layout) keepLosers(dec *Decoder, v reflect.Value, start int, chosen []candidate) {
	won := map[int]bool{}
	for _, c := range chosen {
		won[c.name] = true
	}
	dec.at = start
	for dec.enter(); dec.more(); {
		name := dec.at
		_, rank := l.names.find(dec.string())
		if dec.Kind() != 'n' && rank == otherName && !won[name] {
			l.keep(dec, v, name)
			continue
		}
		dec.Value()
	}
}
