package driftotel

import (
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/driftsdk/drift"
)

// Attributes of the semantic conventions, version 1.43, and of this package.
const (
	keyMethod      = attribute.Key("http.request.method")
	keyResendCount = attribute.Key("http.request.resend_count")
	keyStatusCode  = attribute.Key("http.response.status_code")
	keyAddress     = attribute.Key("server.address")
	keyPort        = attribute.Key("server.port")
	keyTemplate    = attribute.Key("url.template")
	keyProtocol    = attribute.Key("network.protocol.version")
	keyErrorType   = attribute.Key("error.type")

	keyOperation  = attribute.Key("drift.operation")
	keyAttempts   = attribute.Key("drift.attempts")
	keyWaited     = attribute.Key("drift.wait.duration")
	keyWaitReason = attribute.Key("drift.wait.reason")
	keyClass      = attribute.Key("drift.class")
	keyCanceled   = attribute.Key("drift.canceled")
	keyRequestID  = attribute.Key("drift.request_id")
	keySent       = attribute.Key("drift.sent")
	keyEvent      = attribute.Key("drift.webhook.event")
	keyOutcome    = attribute.Key("drift.webhook.outcome")
)

// other is the label of what has too many values.
const other = "_OTHER"

const (
	maxRoutes  = 500
	maxResults = 100 // of a route; a server chooses statuses
)

// routes are what is reported of each route, made once.
type routes struct {
	mu    sync.RWMutex
	known map[drift.RequestInfo]*route
}

// route is what is reported of all calls of one route.
type route struct {
	operation string                  // name of the call's span
	request   string                  // name of an attempt's span
	call      []trace.SpanStartOption // known at the start, for samplers
	attempt   []trace.SpanStartOption

	operationAttr attribute.KeyValue
	requestAttrs  []attribute.KeyValue

	mu       sync.RWMutex
	measures map[result][]metric.RecordOption
}

// result is how a call or an attempt ended. A call has neither status nor protocol.
type result struct {
	attempt bool
	status  int
	proto   string
	kind    drift.Kind
}

// of returns the route of a call. Beyond maxRoutes, calls share the labels "_OTHER": the path of a call of
// drift.Client.Do may have ids in it.
func (r *routes) of(info drift.RequestInfo) *route {
	r.mu.RLock()
	found := r.known[info]
	r.mu.RUnlock()
	if found != nil {
		return found
	}
	info.Method = knownMethod(info.Method)
	return r.add(info)
}

func (r *routes) add(info drift.RequestInfo) *route {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known[info] == nil && len(r.known) >= maxRoutes {
		info.Operation, info.Route = other, other
	}
	if found := r.known[info]; found != nil {
		return found
	}
	if r.known == nil {
		r.known = map[drift.RequestInfo]*route{}
	}
	added := newRoute(info)
	r.known[info] = added
	return added
}

var methods = []string{
	http.MethodConnect, http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPatch,
	http.MethodPost, http.MethodPut, "QUERY", http.MethodTrace,
}

func knownMethod(method string) string {
	if slices.Contains(methods, method) {
		return method
	}
	return other
}

func newRoute(info drift.RequestInfo) *route {
	name, template := info.Method, "/"+info.Route
	if name == other {
		name = "HTTP"
	}
	if info.Route == other {
		template = other
	}
	r := &route{
		operation:     info.Operation,
		request:       name + " " + template,
		operationAttr: keyOperation.String(info.Operation),
		requestAttrs:  []attribute.KeyValue{keyMethod.String(info.Method), keyTemplate.String(template)},
		measures:      map[result][]metric.RecordOption{},
	}
	if address, port, err := net.SplitHostPort(info.Server); err == nil {
		number, _ := strconv.Atoi(port)
		r.requestAttrs = append(r.requestAttrs, keyAddress.String(address), keyPort.Int(number))
	}
	r.call = []trace.SpanStartOption{trace.WithAttributes(r.operationAttr)}
	r.attempt = []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(r.requestAttrs...),
	}
	return r
}

// called returns the attributes of a call that has ended.
func (r *route) called(kind drift.Kind) []metric.RecordOption { return r.measure(result{kind: kind}) }

// attempted returns the attributes of an attempt that has ended.
func (r *route) attempted(status int, proto string, kind drift.Kind) []metric.RecordOption {
	return r.measure(result{true, status, proto, kind})
}

func (r *route) measure(key result) []metric.RecordOption {
	r.mu.RLock()
	found := r.measures[key]
	r.mu.RUnlock()
	if found != nil {
		return found
	}
	made := measure(r.attributes(key)...)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.measures) < maxResults {
		r.measures[key] = made
	}
	return made
}

func (r *route) attributes(key result) []attribute.KeyValue {
	attrs := []attribute.KeyValue{r.operationAttr}
	if key.attempt {
		attrs = slices.Clone(r.requestAttrs)
	}
	if key.status != 0 {
		attrs = append(attrs, keyStatusCode.Int(key.status))
	}
	if key.proto != "" {
		attrs = append(attrs, keyProtocol.String(key.proto))
	}
	if failed(key.kind) {
		attrs = append(attrs, keyErrorType.String(string(key.kind)))
	}
	return attrs
}

func measure(attrs ...attribute.KeyValue) []metric.RecordOption {
	return []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(attrs...))}
}

// protocolVersion returns the version of HTTP as the conventions write it, or "" if it is not one that there is.
func protocolVersion(proto string) string {
	switch version := strings.TrimPrefix(proto, "HTTP/"); version {
	case "1.0", "1.1":
		return version
	case "2.0", "3.0":
		return strings.TrimSuffix(version, ".0")
	}
	return ""
}
