package drifttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// call is a request that passed every check. Its values have the types of their kinds.
type call struct {
	operation *operation
	token     string // of the Authorization header
	now       int64  // in milliseconds, like every instant here
	path      object
	params    object // of the query and the body; nil stands for null
}

func (c *call) id(name string) int64 { return c.path.integer(name) }

// check refuses a request that the catalogue or the conventions of the wire do not allow.
func (o *operation) check(r *http.Request, segments map[string]string, body []byte) (*call, error) {
	if err := o.checkHeaders(r.Header, len(body) > 0); err != nil {
		return nil, err
	}
	path, err := checkPath(segments)
	if err != nil {
		return nil, err
	}
	params, err := o.checkQuery(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	if o.takesBody() {
		err = o.addBody(params, body)
	} else if len(body) > 0 {
		err = invalid("body", "must be empty for "+o.method)
	}
	if err != nil {
		return nil, err
	}
	c := &call{operation: o, path: path, params: params}
	return c, c.checkRequired()
}

func (o *operation) checkHeaders(header http.Header, hasBody bool) error {
	accept := header.Values("Accept")
	switch anything := slices.Equal(accept, []string{"*/*"}); {
	case o.raw && !anything:
		return invalid("Accept", "must be */*")
	case !o.raw && !anything && !isJSON(accept):
		return invalid("Accept", "must be application/json")
	}
	contentType := header.Values("Content-Type")
	switch {
	case hasBody && !isJSON(contentType):
		return invalid("Content-Type", "must be application/json, in UTF-8")
	case !hasBody && len(contentType) > 0:
		return invalid("Content-Type", "must be absent without a body")
	}
	return nil
}

func isJSON(values []string) bool {
	if len(values) != 1 {
		return false
	}
	mediaType, params, err := mime.ParseMediaType(values[0])
	charset, given := params["charset"]
	return err == nil && mediaType == "application/json" && (!given || strings.EqualFold(charset, "utf-8"))
}

func checkPath(segments map[string]string) (object, error) {
	path := object{}
	for _, name := range slices.Sorted(maps.Keys(segments)) {
		if err := path.set(name, kindOfPath(name), kindOfPath(name).lift(segments[name])); err != nil {
			return nil, err
		}
	}
	return path, nil
}

func (o *operation) checkQuery(raw string) (object, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, invalid("query", "is malformed")
	}
	params := object{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !utf8.ValidString(name + strings.Join(values[name], "")) {
			return nil, invalid("query", "must be in UTF-8")
		}
		if err := o.addQuery(params, name, values[name]); err != nil {
			return nil, err
		}
	}
	return params, nil
}

func (o *operation) addQuery(params object, name string, values []string) error {
	base, member, isMember := strings.Cut(name, "[")
	k := o.kindOf(base)
	if !o.inQuery(base) || isMember != (k == kindAttributes) {
		return withCode("CONTACT-10", invalid(name, "unknown parameter"))
	}
	key, ok := memberKey(member)
	if isMember && !ok {
		return invalid(base, "must be written as "+base+"[key], with a key that has no brackets or control characters")
	}
	if slices.Contains(values, "") && k != kindCursor {
		return invalid(name, "must not be empty")
	}
	if k.isList() {
		return params.set(name, k, k.liftList(values))
	}
	if len(values) > 1 {
		return invalid(name, "is given more than once")
	}
	if isMember {
		params.addMember(base, key, values[0])
		return nil
	}
	return params.set(name, k, k.lift(values[0]))
}

// memberKey reads the key of custom_attributes[key] from the text after the first bracket.
func memberKey(member string) (string, bool) {
	key, closed := strings.CutSuffix(member, "]")
	return key, closed && key != "" && !strings.ContainsFunc(key, func(r rune) bool {
		return r == '[' || r == ']' || unicode.IsControl(r)
	})
}

// addMember adds one entry of a map, as in custom_attributes[plan]=pro.
func (o object) addMember(name, key, value string) {
	members, _ := o[name].(map[string]any)
	if members == nil {
		members = map[string]any{}
		o[name] = members
	}
	members[key] = value
}

func (o *operation) addBody(params object, body []byte) error {
	value, err := decode(body)
	if err != nil {
		return withCode("CONTACT-4", err)
	}
	if strings.HasPrefix(o.body, "[") {
		return withCode("CONTACT-4", params.set("body", o.kindOf("body"), value))
	}
	given, ok := value.(map[string]any)
	if !ok {
		return withCode("CONTACT-4", invalid("body", "must be an object"))
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !o.inBody(name) {
			return withCode("CONTACT-4", invalid(name, "unknown parameter"))
		}
		if given[name] == nil && o.takesNull() {
			params[name] = nil // clears the field
			continue
		}
		if err := params.set(name, o.kindOf(name), given[name]); err != nil {
			return withCode("CONTACT-4", err)
		}
	}
	return nil
}

// set stores a value if it is of its kind.
func (o object) set(name string, k kind, value any) error {
	checked, ok := k.check(value)
	if !ok {
		return invalid(name, "must be "+string(k))
	}
	o[name] = checked
	return nil
}

// decode reads one JSON value and keeps its numbers unchanged. Unlike encoding/json it refuses a repeated name.
func decode(body []byte) (any, error) {
	if !utf8.Valid(body) || !json.Valid(body) {
		return nil, invalid("body", "must be one JSON value in UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	return decodeValue(dec)
}

func decodeValue(dec *json.Decoder) (any, error) {
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		return decodeObject(dec)
	case json.Delim('['):
		return decodeList(dec)
	}
	return token, nil
}

func decodeObject(dec *json.Decoder) (any, error) {
	members := map[string]any{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, err
		}
		name := fmt.Sprint(token)
		if _, twice := members[name]; twice {
			return nil, invalid(name, "is given more than once")
		}
		if members[name], err = decodeValue(dec); err != nil {
			return nil, err
		}
	}
	_, err := dec.Token() // }
	return members, err
}

func decodeList(dec *json.Decoder) (any, error) {
	items := []any{}
	for dec.More() {
		item, err := decodeValue(dec)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	_, err := dec.Token() // ]
	return items, err
}
