package wire

import (
	stdjson "encoding/json"
	"errors"
	"math"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// ArgumentError is an error of one parameter of a path or a query.
type ArgumentError struct {
	Argument string
	Reason   error
}

func (e *ArgumentError) Error() string { return e.Argument + ": " + e.Reason.Error() }
func (e *ArgumentError) Unwrap() error { return e.Reason }

var (
	errUTF8        = Reason("must be valid UTF-8")
	errNegative    = errors.New("must not be negative")
	errNotPositive = errors.New("must be greater than 0")
	errEmptyKey    = errors.New("has an empty key")
	errKey         = errors.New("has a key with a bracket, a control character or invalid UTF-8")
	errEmptyText   = errors.New("must not contain an empty string")
	errQueryKind   = errors.New("must be a string, a number or a boolean")
	errNotFinite   = errors.New("must be a finite number")
	errDuration    = errors.New("must be a positive whole number of minutes")
)

// Query encodes the fields of a struct that have a `query:"name"` tag. It omits zero values and nil pointers. A list
// repeats its key, and a map becomes name[key]=value. Instants are milliseconds, durations whole minutes.
func Query(options any) (url.Values, error) {
	values := url.Values{}
	v := reflect.ValueOf(options)
	for i, field := range reflect.VisibleFields(v.Type()) {
		name := field.Tag.Get("query")
		if name == "" {
			continue
		}
		if err := addField(values, name, v.Field(i)); err != nil {
			return nil, &ArgumentError{Argument: name, Reason: err}
		}
	}
	return values, nil
}

func addField(values url.Values, name string, v reflect.Value) error {
	if v.IsZero() || isZeroTime(v) {
		return nil
	}
	switch v.Kind() {
	case reflect.Pointer:
		v = v.Elem()
	case reflect.Slice:
		return addList(values, name, v)
	case reflect.Map:
		return addMap(values, name, v)
	}
	if v.CanInt() && v.Int() < 0 {
		return errNegative
	}
	return add(values, name, v)
}

// isZeroTime reports whether a value is the zero time in any location.
func isZeroTime(v reflect.Value) bool {
	t, ok := v.Interface().(time.Time)
	return ok && t.IsZero()
}

func addList(values url.Values, name string, v reflect.Value) error {
	for i := range v.Len() {
		item := v.Index(i)
		if item.CanInt() && item.Int() <= 0 {
			return errNotPositive
		}
		if isEmptyText(item) {
			return errEmptyText
		}
		if err := add(values, name, item); err != nil {
			return err
		}
	}
	return nil
}

func addMap(values url.Values, name string, v reflect.Value) error {
	for _, key := range v.MapKeys() {
		if err := checkKey(key.String()); err != nil {
			return err
		}
		item := v.MapIndex(key)
		for item.Kind() == reflect.Interface {
			item = item.Elem()
		}
		if isEmptyText(item) {
			return errEmptyText
		}
		if item.IsValid() && isTimed(item) {
			return errQueryKind
		}
		if err := add(values, name+"["+key.String()+"]", item); err != nil {
			return err
		}
	}
	return nil
}

// checkKey rejects a key that could be read as another parameter.
func checkKey(key string) error {
	switch {
	case key == "":
		return errEmptyKey
	case !utf8.ValidString(key), strings.ContainsAny(key, "[]"), strings.ContainsFunc(key, unicode.IsControl):
		return errKey
	}
	return nil
}

func isEmptyText(v reflect.Value) bool { return v.Kind() == reflect.String && v.Len() == 0 }

// isTimed reports whether a value is an instant or a duration, whose unit is unknown in a free map.
func isTimed(v reflect.Value) bool {
	return v.Type() == reflect.TypeFor[time.Time]() || v.Type() == reflect.TypeFor[time.Duration]()
}

func add(values url.Values, name string, v reflect.Value) error {
	text, err := queryText(v)
	if err == nil {
		values.Add(name, text)
	}
	return err
}

func queryText(v reflect.Value) (string, error) {
	if !v.IsValid() {
		return "", errQueryKind
	}
	switch value := v.Interface().(type) {
	case time.Time:
		return strconv.FormatInt(value.UnixMilli(), 10), nil
	case time.Duration:
		if value <= 0 || value%time.Minute != 0 {
			return "", errDuration
		}
		return strconv.FormatInt(int64(value/time.Minute), 10), nil
	case stdjson.Number:
		if jsontext.Value(value).Kind() != '0' || !jsontext.Value(value).IsValid() {
			return "", ErrNumber
		}
		return value.String(), nil
	}
	switch v.Kind() {
	case reflect.String:
		if !utf8.ValidString(v.String()) {
			return "", errUTF8
		}
		return v.String(), nil
	case reflect.Bool:
		return strconv.FormatBool(v.Bool()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.FormatUint(v.Uint(), 10), nil
	case reflect.Float32, reflect.Float64:
		return floatText(v.Float(), v.Type().Bits())
	}
	return "", errQueryKind
}

func floatText(f float64, bits int) (string, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return "", errNotFinite
	}
	return strconv.FormatFloat(f, 'f', -1, bits), nil
}
