package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// Contract is the document of the wire. It checks requests and answers, and remembers which operations and parameters it saw.
type Contract struct {
	Document *openapi3.T

	router routers.Router
	mu     sync.Mutex
	seen   map[string]map[string]bool // the parameters of each operation
}

// Load reads and validates the document, for a service at baseURL.
func Load(path, baseURL string) (*Contract, error) {
	document, err := openapi3.NewLoader().LoadFromFile(path)
	if err != nil {
		return nil, err
	}
	if err := document.Validate(context.Background(), openapi3.EnableExamplesValidation()); err != nil {
		return nil, err
	}
	document.Servers = openapi3.Servers{{URL: baseURL}}
	router, err := gorillamux.NewRouter(document)
	if err != nil {
		return nil, err
	}
	return &Contract{Document: document, router: router, seen: map[string]map[string]bool{}}, nil
}

// Request is a request that the document knows.
type Request struct {
	Operation string

	input *openapi3filter.RequestValidationInput
}

var options = &openapi3filter.Options{
	AuthenticationFunc:                authenticate,
	IncludeResponseStatus:             true,
	MultiError:                        true,
	RejectWhenRequestBodyNotSpecified: true,
	SkipSettingDefaults:               true,
}

func authenticate(_ context.Context, input *openapi3filter.AuthenticationInput) error {
	scheme, token, _ := strings.Cut(input.RequestValidationInput.Request.Header.Get("Authorization"), " ")
	if scheme != "Bearer" || token == "" {
		return errors.New("no bearer token")
	}
	return nil
}

// CheckRequest holds a request against the document. It leaves the request as it was.
func (c *Contract) CheckRequest(r *http.Request) (*Request, error) {
	body, err := buffer(&r.Body)
	if err != nil {
		return nil, err
	}
	checked := r.Clone(r.Context())
	checked.Body = io.NopCloser(bytes.NewReader(body))
	route, values, err := c.router.FindRoute(checked)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", r.Method, r.URL.Path, err)
	}
	request := &Request{
		Operation: route.Operation.OperationID,
		input: &openapi3filter.RequestValidationInput{
			Request: checked, PathParams: values, QueryParams: checked.URL.Query(), Route: route, Options: options,
		},
	}
	c.remember(request, body)
	err = errors.Join(
		openapi3filter.ValidateRequest(r.Context(), request.input),
		checkHeaders(r.Header, accepted(route.Operation), len(body) > 0),
		checkQuery(parametersOf(route), r.URL.Query()),
	)
	return request, request.explain("request", err)
}

// CheckResponse holds an answer against the document. It leaves the answer as it was.
func (c *Contract) CheckResponse(request *Request, r *http.Response) error {
	body, err := buffer(&r.Body)
	if err != nil {
		return err
	}
	if r.StatusCode == http.StatusNoContent && len(body) > 0 {
		return request.explain("answer", errors.New("a body where there is nothing to say"))
	}
	err = openapi3filter.ValidateResponse(request.input.Request.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: request.input,
		Status:                 r.StatusCode,
		Header:                 r.Header,
		Body:                   io.NopCloser(bytes.NewReader(body)),
		Options:                options,
	})
	return request.explain("answer", errors.Join(err, checkStatus(request.input.Route.Operation, r.StatusCode)))
}

func (r *Request) explain(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %s: %w", r.Operation, what, err)
}

// Seen returns the names of an operation's parameters that requests had so far, and whether there was a request at all.
func (c *Contract) Seen(operation string) (names []string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen, ok := c.seen[operation]
	return slices.Sorted(maps.Keys(seen)), ok
}

func (c *Contract) remember(request *Request, body []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := c.seen[request.Operation]
	if names == nil {
		names = map[string]bool{}
		c.seen[request.Operation] = names
	}
	for name := range request.input.PathParams {
		names[name] = true
	}
	for name := range request.input.QueryParams {
		base, _, _ := strings.Cut(name, "[")
		names[base] = true
	}
	for _, name := range memberNames(body) {
		names[name] = true
	}
}

// buffer reads a body to its end and puts a copy in its place.
func buffer(body *io.ReadCloser) ([]byte, error) {
	if *body == nil {
		return nil, nil
	}
	data, err := io.ReadAll(*body)
	if closeErr := (*body).Close(); err == nil {
		err = closeErr
	}
	*body = io.NopCloser(bytes.NewReader(data))
	return data, err
}

// memberNames are the names in a JSON object; none in anything else.
func memberNames(body []byte) []string {
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(members))
}

// What follows is what an OpenAPI document cannot say, or what openapi3filter does not look at.

// accepted is what a request accepts: JSON, or anything where a success is something else.
func accepted(operation *openapi3.Operation) string {
	if ok := operation.Responses.Status(http.StatusOK); ok != nil && ok.Value.Content["application/json"] == nil {
		return "*/*"
	}
	return "application/json"
}

func checkHeaders(header http.Header, accepted string, hasBody bool) error {
	if got := header.Values("Accept"); !slices.Equal(got, []string{accepted}) {
		return fmt.Errorf("header Accept is %q", got)
	}
	if got := header.Values("Content-Type"); !hasBody && len(got) > 0 {
		return fmt.Errorf("header Content-Type is %q without a body", got)
	}
	return nil
}

// checkQuery refuses parameters that the document does not name: OpenAPI allows them.
func checkQuery(parameters openapi3.Parameters, query url.Values) error {
	var errs []error
	for name, values := range query {
		base, key, isMember := strings.Cut(name, "[")
		parameter := parameters.GetByInAndName(openapi3.ParameterInQuery, base)
		switch {
		case parameter == nil || isMember != (parameter.Style == openapi3.SerializationDeepObject):
			errs = append(errs, fmt.Errorf("the query parameter %q is unknown", name))
		case len(values) > 1 && !parameter.Schema.Value.Type.Is(openapi3.TypeArray):
			errs = append(errs, fmt.Errorf("the query parameter %q is given more than once", name))
		case isMember && strings.ContainsFunc(strings.TrimSuffix(key, "]"), breaksKey):
			errs = append(errs, fmt.Errorf("the query parameter %q has a key with brackets or control characters", name))
		case !isMember:
			errs = append(errs, checkTexts(name, parameter.Schema.Value, values))
		}
	}
	return errors.Join(errs...)
}

func breaksKey(r rune) bool { return r == '[' || r == ']' || unicode.IsControl(r) }

// checkTexts wants booleans and integers as JSON writes them: the filter reads them as Go does, 1 for true and 1e3 for 1000.
func checkTexts(name string, schema *openapi3.Schema, values []string) error {
	if schema.Type.Is(openapi3.TypeArray) {
		schema = schema.Items.Value
	}
	for _, value := range values {
		_, err := strconv.ParseInt(value, 10, 64)
		switch {
		case schema.Type.Is(openapi3.TypeBoolean) && value != "true" && value != "false":
			return fmt.Errorf("%s: %q is not a boolean", name, value)
		case schema.Type.Is(openapi3.TypeInteger) && (err != nil || !canonical.MatchString(value)):
			return fmt.Errorf("%s: %q is not an integer", name, value)
		}
	}
	return nil
}

var canonical = regexp.MustCompile(`^(0|-?[1-9][0-9]*)$`)

func parametersOf(route *routers.Route) openapi3.Parameters {
	return slices.Concat(route.PathItem.Parameters, route.Operation.Parameters)
}

// checkStatus keeps a success that is not documented from passing as an error, for which there is a default.
func checkStatus(operation *openapi3.Operation, status int) error {
	if status < http.StatusBadRequest && operation.Responses.Status(status) == nil {
		return fmt.Errorf("the status %d is unknown", status)
	}
	return nil
}
