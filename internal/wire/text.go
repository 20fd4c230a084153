package wire

import (
	"reflect"
	"strings"
	"unicode/utf8"
)

// ValidText reports whether all strings in a value are valid UTF-8. If not, it returns the name of the member of the
// struct that v points to which has the first one that is not.
func ValidText(v any) (member string, valid bool) {
	s := reflect.Indirect(reflect.ValueOf(v))
	for field, value := range s.Fields() {
		if !validText(value) {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			return name, false
		}
	}
	return "", true
}

func validText(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.String:
		return utf8.ValidString(v.String())
	case reflect.Pointer, reflect.Interface:
		return v.IsNil() || validText(v.Elem())
	case reflect.Struct:
		for _, value := range v.Fields() {
			if !validText(value) {
				return false
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if !validText(v.Index(i)) {
				return false
			}
		}
	case reflect.Map:
		for key, value := range v.Seq2() {
			if !validText(key) || !validText(value) {
				return false
			}
		}
	}
	return true
}
