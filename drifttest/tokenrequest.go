package drifttest

import (
	"errors"
	"mime"
	"net/http"
	"net/url"
)

// tokenNames are the parameters of the token endpoint, with their names in a form and in JSON.
var tokenNames = [...]struct {
	form, json string
	secret     bool
}{
	{form: "grant_type", json: "grantType"},
	{form: "client_id", json: "clientId"},
	{form: "client_secret", json: "clientSecret", secret: true},
	{form: "redirect_uri", json: "redirectUri"},
	{form: "code", json: "code", secret: true},
	{form: "code_verifier", json: "codeVerifier", secret: true},
	{form: "refresh_token", json: "refreshToken", secret: true},
}

// tokenParameters reads the parameters of a request to the token endpoint and returns them by their names in a form.
func tokenParameters(header http.Header, body []byte) (map[string]string, error) {
	if len(header.Values("Authorization")) > 0 {
		return nil, errors.New("client_id and client_secret belong in the body, not in an Authorization header")
	}
	given, legacy, err := tokenBody(header, body)
	if err != nil {
		return nil, err
	}
	params := map[string]string{}
	for _, name := range tokenNames {
		key := name.form
		if legacy {
			key = name.json
		}
		if value, ok := given[key]; ok {
			params[name.form] = value
			delete(given, key)
		}
	}
	for name := range given {
		return nil, errors.New(name + ": unknown parameter")
	}
	return params, nil
}

// tokenBody reads the body and reports whether it has the legacy format, JSON.
func tokenBody(header http.Header, body []byte) (given map[string]string, legacy bool, err error) {
	mediaType, _, _ := mime.ParseMediaType(header.Get("Content-Type"))
	switch mediaType {
	case "application/x-www-form-urlencoded":
		given, err = formBody(body)
		return given, false, err
	case "application/json":
		given, err = jsonBody(body)
		return given, true, err
	}
	return nil, false, errors.New("Content-Type: must be application/x-www-form-urlencoded or application/json")
}

func formBody(body []byte) (map[string]string, error) {
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, errors.New("body: must be a form")
	}
	given := map[string]string{}
	for name, value := range values {
		if len(value) != 1 {
			return nil, errors.New(name + ": is given more than once")
		}
		given[name] = value[0]
	}
	return given, nil
}

func jsonBody(body []byte) (map[string]string, error) {
	value, err := decode(body)
	if err != nil {
		return nil, err
	}
	members, ok := value.(map[string]any)
	if !ok {
		return nil, errors.New("body: must be an object")
	}
	given := map[string]string{}
	for name, value := range members {
		text, ok := value.(string)
		if !ok {
			return nil, errors.New(name + ": must be a string")
		}
		given[name] = text
	}
	return given, nil
}

// redactToken returns the body of a token request for the record, with every secret REDACTED. It redacts a body that it
// cannot read entirely.
func redactToken(header http.Header, body []byte) []byte {
	given, legacy, err := tokenBody(header, body)
	if err != nil {
		return []byte(redacted)
	}
	form, members := url.Values{}, object{}
	for name, value := range given {
		form.Set(name, value)
		members[name] = value
	}
	for _, name := range tokenNames {
		if !name.secret {
			continue
		}
		if form.Has(name.form) {
			form.Set(name.form, redacted)
		}
		if _, ok := members[name.json]; ok {
			members[name.json] = redacted
		}
	}
	if legacy {
		return encode(members)
	}
	return []byte(form.Encode())
}
