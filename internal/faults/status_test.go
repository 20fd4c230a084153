package faults_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/faults"
	"github.com/driftsdk/drift/internal/testkit"
)

// statusFaults: what the service can answer.
func statusFaults() faults.Cases {
	return faults.Cases{
		28: inBubble(checkOK),
		29: inBubble(checkErrorUnderSuccess),
		30: inBubble(checkEmptyAnswer),
		31: inBubble(checkCreatedWithoutBody),
		32: inBubble(checkAccepted),
		33: inBubble(checkNoContent),
		34: inBubble(checkOddSuccess),
		35: everyMethod(refused, testkit.Answer(304)),
		36: checkRedirect,
		37: checkRedirectElsewhere,
		38: checkRedirectOfTokens,
		39: checkRedirectToNowhere,
		40: inBubble(checkBadRequest),
		41: inBubble(checkExpiredToken),
		42: inBubble(checkNewTokenRefused),
		43: inBubble(checkExpiredTokenOfMany),
		44: inBubble(checkInsufficientScope),
		45: inBubble(func(t *testing.T) { checkUsedUp(t, testkit.AnswerBody(402, markedErrorBody)) }),
		46: inBubble(checkForbidden),
		47: inBubble(checkNotFound),
		48: everyMethod(refused, testkit.Answer(405), testkit.Answer(406), testkit.Answer(410), testkit.Answer(411), testkit.Answer(413), testkit.Answer(414), testkit.Answer(415), testkit.Answer(431), testkit.Answer(451)),
		49: everyMethod(transient, testkit.Answer(408)),
		50: inBubble(checkConflict),
		51: everyMethod(refused, testkit.Answer(412), testkit.Answer(428)),
		52: inBubble(checkFieldErrors),
		53: everyMethod(refused, testkit.Answer(423), testkit.Answer(425)),
		54: inBubble(checkThrottled),
		55: checkThrottledUntilDate,
		56: checkThrottledForNothing,
		57: checkThrottledWithJunk,
		58: checkThrottledForAnHour,
		59: checkThrottledForAges,
		60: checkThrottledUntilThePast,
		61: inBubble(checkThrottledWithoutATime),
		62: inBubble(checkThrottledForEver),
		63: inBubble(func(t *testing.T) { checkUsedUp(t, testkit.QuotaGone) }),
		64: everyMethod(transient, testkit.Answer(500)),
		65: inBubble(checkServerErrorOnce),
		66: everyMethod(broken, testkit.Answer(501), testkit.Answer(505)),
		67: inBubble(checkBadGateway),
		68: inBubble(checkUnavailableWrite),
		69: inBubble(checkMaintenance),
		70: checkNoStatus,
		71: inBubble(checkDifferentErrors),
	}
}

// inBubble runs a check in virtual time.
func inBubble(check func(*testing.T)) func(*testing.T) {
	return func(t *testing.T) { synctest.Test(t, check) }
}

// everyMethod checks what becomes of reads, of writes that may be repeated and of those that must not, when every
// attempt gets one of these answers.
func everyMethod(want [3]expectation, answers ...testkit.Responder) func(*testing.T) {
	return inBubble(func(t *testing.T) {
		for i, respond := range answers {
			for group, methods := range methodGroups {
				for _, m := range methods {
					network := &testkit.Network{Answers: []testkit.Responder{respond}}
					c := throughFault(t, network.Serve, testkit.WithoutBudget)
					err := c.call(t.Context(), m.method, m.opts...)
					assert.Equal(t, want[group], expectation{len(network.Requests()), kind(err)}, "%s, answer %d: %v", m.method, i, err)
					c.requireSpent(want[group].requests, want[group].requests)
				}
			}
		}
	})
}

const (
	markedErrorBody = `{"error": {"type": "some_type", "message": "some words"}, "more": "` + testkit.MarkedAnswer + `"}`
	markedHTML      = `<!doctype html><title>` + testkit.MarkedAnswer + `</title>`
	asHTML          = "text/html; charset=utf-8"
)

// requireStatus: the error is, or wraps, an APIError with this status.
func requireStatus(t *testing.T, err error, status int) *drift.APIError {
	t.Helper()
	var api *drift.APIError
	require.ErrorAs(t, err, &api)
	require.Equal(t, status, api.StatusCode)
	return api
}

func checkOK(t *testing.T) {
	c := throughFault(t, testkit.AnswerBody(200, `{"data": {"id": 42, "title": "`+testkit.MarkedAnswer+`"}}`, "X-Request-Id", "r1"))
	var response drift.Response
	conversation, err := c.Conversations.Get(t.Context(), 42, drift.WithResponse(&response))
	require.NoError(t, err)
	assert.Equal(t, drift.ConversationID(42), conversation.ID)
	assert.Equal(t, testkit.MarkedAnswer, conversation.Title)
	assert.Equal(t, "r1", response.RequestID)
	assert.Equal(t, 200, response.StatusCode)
	assert.Len(t, response.Attempts, 1)
	c.requireSpent(1, 1)
}

func checkErrorUnderSuccess(t *testing.T) {
	for _, body := range []string{
		`{"error": {"type": "not_found", "message": "gone"}}`,
		`{"errors": [{"type": "not_found", "message": "gone"}]}`,
		`{"data": null, "error": {"type": "not_found", "message": "gone"}}`,
	} {
		c := throughFault(t, testkit.AnswerBody(200, body))
		tag, err := c.Tags.Get(t.Context(), 7)
		assert.Nil(t, tag)
		api := requireStatus(t, err, 200)
		assert.Equal(t, "gone", api.Message)
		require.ErrorIs(t, err, drift.ErrNotFound)
		c.requireSpent(1, 1)
	}
}

func checkEmptyAnswer(t *testing.T) { checkUndecodableAnswer(t, testkit.AnswerBody(200, "")) }

func checkCreatedWithoutBody(t *testing.T) {
	checkUndecodableAnswer(t, testkit.AnswerBody(201, ""))
	checkUndecodableAnswer(t, testkit.AnswerBody(201, "", "Location", "https://drift.test/v2/tags/"+testkit.MarkedAnswer))
}

// checkUndecodableAnswer: the answer lacks the record that the call returns.
func checkUndecodableAnswer(t *testing.T, respond testkit.Responder) {
	t.Helper()
	c := throughFault(t, respond)
	tag, err := c.Tags.Get(t.Context(), 7)
	assert.Nil(t, tag)
	require.ErrorAs(t, err, new(*drift.DecodeError))
	require.NotErrorIs(t, err, drift.ErrAmbiguous)
	tag, err = c.Tags.Create(t.Context(), drift.TagCreateRequest{Name: testkit.MarkedBody})
	assert.Nil(t, tag)
	require.ErrorAs(t, err, new(*drift.DecodeError))
	require.ErrorIs(t, err, drift.ErrAmbiguous)
	c.requireSpent(2, 2)
}

func checkAccepted(t *testing.T) {
	c := throughFault(t, testkit.AnswerBody(202, `{"data": {"id": 7}}`))
	tag, err := c.Tags.Create(t.Context(), drift.TagCreateRequest{Name: testkit.MarkedBody})
	require.NoError(t, err)
	assert.Equal(t, drift.TagID(7), tag.ID)
	require.NoError(t, c.Tags.Delete(t.Context(), 7))
	c.requireSpent(2, 2)
	checkUndecodableAnswer(t, testkit.AnswerBody(202, ""))
}

func checkNoContent(t *testing.T) {
	for _, body := range []string{"", markedHTML, `{"data": "` + testkit.MarkedAnswer + `"}`} {
		c := throughFault(t, testkit.AnswerBody(204, body))
		require.NoError(t, c.Tags.Delete(t.Context(), 7))
		require.NoError(t, c.post(t.Context()))
		c.requireSpent(2, 2)
	}
	checkUndecodableAnswer(t, testkit.AnswerBody(204, ""))
}

func checkOddSuccess(t *testing.T) {
	for _, status := range []int{203, 205, 206, 207, 226, 299} {
		c := throughFault(t, testkit.AnswerBody(status, `{"data": {"id": 7}}`))
		tag, err := c.Tags.Get(t.Context(), 7)
		require.NoError(t, err)
		assert.Equal(t, drift.TagID(7), tag.ID)
		err = c.Tags.Delete(t.Context(), 7)
		requireStatus(t, err, status)
		require.ErrorIs(t, err, drift.ErrAmbiguous, "perhaps it is done")
		c.requireSpent(2, 2)
	}
}

var redirectStatuses = []int{301, 302, 303, 307, 308}

// requireRefusedRedirect: every method is sent once, and then the call ends.
func requireRefusedRedirect(t *testing.T, c *faultClient, status int) {
	t.Helper()
	methods := []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete}
	for _, method := range methods {
		err := c.call(t.Context(), method)
		var transport *drift.TransportError
		require.ErrorAs(t, err, &transport)
		assert.True(t, transport.Sent)
		require.Len(t, transport.Attempts, 1)
		assert.Equal(t, status, transport.Attempts[0].StatusCode)
		assert.ErrorContains(t, err, "redirect")
		assert.ErrorContains(t, err, fmt.Sprint(status))
	}
	c.requireSpent(len(methods), len(methods))
}

func checkRedirect(t *testing.T) {
	for _, status := range redirectStatuses {
		var mu sync.Mutex
		var methods []string
		c := serveFault(t, func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			methods = append(methods, r.Method)
			w.Header().Set("Location", "/elsewhere/"+testkit.MarkedAnswer)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, markedHTML)
		})
		requireRefusedRedirect(t, c, status)
		assert.Equal(t, []string{"GET", "POST", "PATCH", "DELETE"}, methods)
	}
}

// checkRedirectElsewhere has a network where every address but the service's is a trap.
func checkRedirectElsewhere(t *testing.T) {
	trap, calls := testkit.TrapServer(t)
	var target string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", target)
		w.WriteHeader(http.StatusTemporaryRedirect)
	}))
	t.Cleanup(server.Close)
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		destination := strings.TrimPrefix(trap, "http://")
		if address == "api.drift.test:80" {
			destination = server.Listener.Addr().String()
		}
		return new(net.Dialer).DialContext(ctx, network, destination)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	for _, target = range []string{
		"http://other.test/", "http://sub.api.drift.test/", "http://drift.test/", "http://api.drift.test:8080/", "https://api.drift.test/",
		"//other.test/", "http://" + testkit.MarkedAnswer + ":pass@api.drift.test:8080/", trap,
	} {
		c := newFaultClient(t, "http://api.drift.test", drift.WithInsecureHTTP(), drift.WithHTTPClient(&http.Client{Transport: transport}))
		requireRefusedRedirect(t, c, http.StatusTemporaryRedirect)
	}
	assert.Zero(t, calls(), "connections elsewhere")
	resp, err := (&http.Client{Transport: transport}).Get("http://api.drift.test/")
	require.NoError(t, err)
	assert.NoError(t, resp.Body.Close())
	assert.Equal(t, 1, calls(), "an ordinary client falls into the trap")
}

func checkRedirectOfTokens(t *testing.T) {
	trap, calls := testkit.TrapServer(t)
	var status int
	var requests atomic.Int32
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		http.Redirect(w, r, trap+"/"+testkit.MarkedAnswer, status)
	}))
	t.Cleanup(tokens.Close)
	for _, status = range redirectStatuses {
		requests.Store(0)
		config := drift.OAuthConfig{ClientID: "client", ClientSecret: testkit.MarkedClientSecret, TokenURL: tokens.URL + "/" + testkit.MarkedBase}
		source := config.TokenSource(drift.NewMemoryTokenStore(testkit.Expired()))
		c := newFaultClientAs(t, drift.WithTokenSource(source), trap)
		err := c.get(t.Context())
		require.ErrorAs(t, err, new(*drift.TransportError))
		assert.ErrorContains(t, err, "redirect")
		_, err = config.Exchange(t.Context(), testkit.MarkedCode)
		require.ErrorAs(t, c.saw(err), new(*drift.TransportError))
		assert.ErrorContains(t, err, "redirect")
		assert.EqualValues(t, 2, requests.Load())
		require.NoError(t, source.Close())
		c.requireSpent(0, 0)
	}
	assert.Zero(t, calls(), "neither the redirect was followed, nor a call made without a token")
}

func checkRedirectToNowhere(t *testing.T) {
	for _, location := range []string{"", "/again", "http://[::1", "://", "%zz", "?", "javascript:alert(1)", strings.Repeat("x", 10_000)} {
		for _, status := range redirectStatuses {
			c := serveFault(t, func(w http.ResponseWriter, r *http.Request) {
				if location == "/again" {
					location = r.URL.RequestURI() // in a circle
				}
				if location != "" {
					w.Header().Set("Location", location)
				}
				w.WriteHeader(status)
			})
			requireRefusedRedirect(t, c, status)
		}
	}
}

func checkBadRequest(t *testing.T) {
	for name, test := range map[string]struct{ contentType, body, code, message string }{
		"JSON":  {"application/json", `{"code": "CONTACT-6", "message": "exists", "more": "` + testkit.MarkedAnswer + `"}`, "CONTACT-6", "exists"},
		"HTML":  {asHTML, markedHTML, "", ""},
		"empty": {"", "", "", ""},
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
			c := throughFault(t, func(r *http.Request) (*http.Response, error) {
				return testkit.MemoryAnswer(r, 400, test.contentType, test.body), nil
			})
			err := c.call(t.Context(), method)
			require.ErrorIs(t, err, drift.ErrInvalid, name)
			require.NotErrorIs(t, err, drift.ErrAmbiguous)
			api := requireStatus(t, err, 400)
			assert.Equal(t, test.code, api.Code)
			assert.Equal(t, test.message, api.Message)
			assert.Equal(t, test.body, string(api.Body()), "it can be had")
			assert.NotContains(t, err.Error(), "<")
			c.requireSpent(1, 1)
		}
	}
}

// sharedSource is what a RefreshingTokenSource should be: callers that were refused the same token share one refresh.
type sharedSource struct {
	delay time.Duration

	mu         sync.Mutex
	generation int
	refreshes  int
}

func (s *sharedSource) Token() (*oauth2.Token, error) { return s.TokenContext(context.Background()) }

func (s *sharedSource) TokenContext(context.Context) (*oauth2.Token, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token(), nil
}

func (s *sharedSource) token() *oauth2.Token {
	return &oauth2.Token{AccessToken: fmt.Sprint(testkit.MarkedToken, "-", s.generation)}
}

func (s *sharedSource) Refresh(_ context.Context, stale *oauth2.Token) (*oauth2.Token, error) {
	time.Sleep(s.delay)
	s.mu.Lock()
	defer s.mu.Unlock()
	if stale.AccessToken == s.token().AccessToken {
		s.generation++
		s.refreshes++
	}
	return s.token(), nil
}

// refusesUpTo answers 401 to the first tokens of a sharedSource.
func refusesUpTo(upTo int, then testkit.Responder) testkit.Responder {
	return func(r *http.Request) (*http.Response, error) {
		for generation := range upTo {
			if r.Header.Get("Authorization") == fmt.Sprint("Bearer ", testkit.MarkedToken, "-", generation) {
				return testkit.AnswerBody(401, `{"error": {"type": "authentication_error", "message": "expired"}, "more": "`+testkit.MarkedAnswer+`"}`)(r)
			}
		}
		return then(r)
	}
}

func checkExpiredToken(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete} {
		source, network := new(sharedSource), &testkit.Network{Answers: []testkit.Responder{refusesUpTo(1, testkit.Answer(200))}}
		c := throughFaultAs(t, drift.WithTokenSource(source), network.Serve)
		start := time.Now()
		require.NoError(t, c.call(t.Context(), method))
		assert.Zero(t, time.Since(start), "no delay")
		assert.Equal(t, []string{testkit.MarkedToken + "-0", testkit.MarkedToken + "-1"}, testkit.TokensOf(network.Sent))
		assert.Equal(t, network.Sent[0].Body, network.Sent[1].Body)
		assert.Equal(t, 1, source.refreshes)
		c.requireSpent(2, 2)
	}
}

func checkNewTokenRefused(t *testing.T) {
	source, network := new(sharedSource), &testkit.Network{Answers: []testkit.Responder{refusesUpTo(9, testkit.Answer(200))}}
	c := throughFaultAs(t, drift.WithTokenSource(source), network.Serve)
	err := c.post(t.Context())
	require.ErrorIs(t, err, drift.ErrUnauthorized)
	require.NotErrorIs(t, err, drift.ErrAmbiguous)
	assert.Len(t, requireStatus(t, err, 401).Attempts, 2)
	assert.Equal(t, 1, source.refreshes)
	c.requireSpent(2, 2)
}

func checkExpiredTokenOfMany(t *testing.T) {
	const callers = 200
	source := &sharedSource{delay: time.Second}
	network := &testkit.Network{Answers: []testkit.Responder{refusesUpTo(1, testkit.Answer(200))}, Delay: time.Second} // all are on the way when the first is refused
	c := throughFaultAs(t, drift.WithTokenSource(source), network.Serve)
	c.limiter.Limiter = testkit.OpenLimiter{}
	var group sync.WaitGroup
	for range callers {
		group.Go(func() { assert.NoError(t, c.post(t.Context())) })
	}
	group.Wait()
	assert.Equal(t, 1, source.refreshes)
	count := map[string]int{}
	for _, token := range testkit.TokensOf(network.Sent) {
		count[token]++
	}
	assert.Equal(t, map[string]int{testkit.MarkedToken + "-0": callers, testkit.MarkedToken + "-1": callers}, count)
	c.requireSpent(2*callers, 2*callers)
}

func checkInsufficientScope(t *testing.T) {
	for _, challenge := range []string{
		`Bearer error="insufficient_scope", scope="contact_read contact_write"`,
		`Bearer realm="drift", error="insufficient_scope", error_description="no, not you", scope="contact_read contact_write"`,
		`bearer Error=insufficient_scope,scope="contact_read contact_write"`,
	} {
		source := new(sharedSource)
		c := throughFaultAs(t, drift.WithTokenSource(source), testkit.AnswerBody(401, markedErrorBody, "WWW-Authenticate", challenge))
		err := c.post(t.Context())
		require.ErrorIs(t, err, drift.ErrUnauthorized)
		api := requireStatus(t, err, 401)
		assert.Equal(t, "insufficient_scope", api.Code)
		assert.Equal(t, []string{"contact_read contact_write"}, api.Fields["scope"])
		assert.Zero(t, source.refreshes)
		c.requireSpent(1, 1)
	}
	source, network := new(sharedSource), &testkit.Network{Answers: []testkit.Responder{refusesUpTo(1, testkit.Answer(200))}}
	c := throughFaultAs(t, drift.WithTokenSource(source), func(r *http.Request) (*http.Response, error) {
		resp, err := network.Serve(r)
		resp.Header.Set("WWW-Authenticate", `Bearer realm="insufficient_scope", error="invalid_token", scope="a"`)
		return resp, err
	})
	require.NoError(t, c.post(t.Context()), "another error is worth a new token")
}

// checkUsedUp: the service says that the month is used up.
func checkUsedUp(t *testing.T, respond testkit.Responder) {
	t.Helper()
	network := &testkit.Network{Answers: []testkit.Responder{respond}}
	c := throughFault(t, network.Serve)
	for range 3 {
		err := c.get(t.Context())
		require.ErrorAs(t, err, new(*drift.QuotaError))
		require.ErrorIs(t, err, drift.ErrQuotaExceeded)
		require.NotErrorIs(t, err, drift.ErrRateLimited, "waiting a minute would not help")
	}
	assert.Len(t, network.Requests(), 1, "the others were refused here")
	c.requireSpent(1, 1)
}

func checkForbidden(t *testing.T) {
	source, plain := new(sharedSource), &testkit.Network{Answers: []testkit.Responder{testkit.AnswerBody(403, markedErrorBody, "Retry-After", "5")}}
	c := throughFaultAs(t, drift.WithTokenSource(source), plain.Serve)
	err := c.post(t.Context())
	require.ErrorIs(t, err, drift.ErrForbidden)
	require.NotErrorIs(t, err, drift.ErrUnauthorized)
	requireStatus(t, err, 403)
	assert.Zero(t, source.refreshes)
	c.requireSpent(1, 1)

	badToken := &testkit.Network{Answers: []testkit.Responder{testkit.Refusing(testkit.MarkedToken+"-1", testkit.AuthenticationFailed)}}
	c = throughFaultAs(t, drift.WithTokenSource(source), badToken.Serve)
	require.NoError(t, c.post(t.Context()), "with another token")
	assert.Equal(t, 1, source.refreshes)
	c.requireSpent(2, 2)
}

func checkNotFound(t *testing.T) {
	for _, test := range []struct {
		contentType, body string
		want              error
	}{
		{"application/json", `{"error": {"type": "not_found", "message": "gone"}, "more": "` + testkit.MarkedAnswer + `"}`, drift.ErrNotFound},
		{"application/json", ``, drift.ErrNotFound},
		{asHTML, markedHTML, drift.ErrUnexpectedContent},
		{asHTML, "Not Found", drift.ErrUnexpectedContent},
		{asHTML, `{"message": "gone"}`, drift.ErrNotFound},
		{"", markedHTML, drift.ErrUnexpectedContent},
		{"text/plain; charset=utf-8", "404 page not found\n", drift.ErrNotFound},
		{"application/problem+json", `["no such page"]`, drift.ErrNotFound},
	} {
		c := throughFault(t, func(r *http.Request) (*http.Response, error) {
			return testkit.MemoryAnswer(r, 404, test.contentType, test.body), nil
		})
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
			err := c.call(t.Context(), method)
			testkit.RequireSentinels(t, err, []error{test.want})
			assert.Equal(t, test.body, string(requireStatus(t, err, 404).Body()))
			assert.NotContains(t, err.Error(), "<")
		}
		c.requireSpent(3, 3)
	}
}

func checkConflict(t *testing.T) {
	body := `{"code": "CONTACT-6", "message": "exists", "existing": "` + testkit.MarkedAnswer + `"}`
	c := throughFault(t, testkit.AnswerBody(409, body))
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		err := c.call(t.Context(), method)
		require.ErrorIs(t, err, drift.ErrConflict)
		require.NotErrorIs(t, err, drift.ErrAmbiguous)
		assert.Equal(t, body, string(requireStatus(t, err, 409).Body()))
	}
	c.requireSpent(3, 3)
}

func checkFieldErrors(t *testing.T) {
	for name, test := range map[string]struct {
		body string
		want map[string][]string
	}{
		"list":        {`{"errors": [{"param": "email", "message": "taken"}, {"param": "email", "message": "too long"}, {"param": "name", "message": "missing"}]}`, map[string][]string{"email": {"taken", "too long"}, "name": {"missing"}}},
		"one":         {`{"error": {"param": "email", "message": "taken"}}`, map[string][]string{"email": {"taken"}}},
		"map of text": {`{"errors": {"email": "taken", "name": "missing"}}`, map[string][]string{"email": {"taken"}, "name": {"missing"}}},
		"map of list": {`{"errors": {"email": ["taken", "too long"]}}`, map[string][]string{"email": {"taken", "too long"}}},
		"nested":      {`{"errors": {"address": {"zip": ["bad"], "town": {"name": "missing"}}}}`, map[string][]string{"address.zip": {"bad"}, "address.town.name": {"missing"}}},
		"inside":      {`{"error": {"type": "validation_error", "errors": {"email": ["taken"]}}}`, map[string][]string{"email": {"taken"}}},
		"mixed":       {`{"errors": {"email": ["taken", 7, null, {"x": "odd"}], "": "nothing"}}`, map[string][]string{"email": {"taken", "7"}, "email.x": {"odd"}}},
		"text":        {`{"errors": "no"}`, nil},
		"texts":       {`{"errors": ["no", "never"]}`, nil},
		"number":      {`{"errors": 7}`, nil},
		"unknown":     {`{"problems": {"email": "` + testkit.MarkedAnswer + `"}}`, nil},
		"deep":        {`{"errors": ` + strings.Repeat(`{"a":`, 1000) + `"x"` + strings.Repeat("}", 1001), nil},
		"HTML":        {markedHTML, nil},
	} {
		c := throughFault(t, testkit.AnswerBody(422, test.body))
		err := c.post(t.Context())
		require.ErrorIs(t, err, drift.ErrInvalid)
		assert.Equal(t, test.want, requireStatus(t, err, 422).Fields, name)
		c.requireSpent(1, 1)
	}
	var many string
	for i := range 1000 {
		many += fmt.Sprintf(`"f%d": "x",`, i)
	}
	c := throughFault(t, testkit.AnswerBody(422, `{"errors": {`+strings.TrimSuffix(many, ",")+`}}`))
	assert.Len(t, requireStatus(t, c.post(t.Context()), 422).Fields, 64)
}

func checkThrottled(t *testing.T) {
	network := &testkit.Network{Answers: []testkit.Responder{testkit.AnswerBody(429, markedErrorBody, "Retry-After", "2"), testkit.Answer(200)}}
	c := throughFault(t, network.Serve)
	start := time.Now()
	var group sync.WaitGroup
	group.Go(func() { assert.NoError(t, c.post(t.Context())) })
	for range 5 {
		time.Sleep(100 * time.Millisecond)
		group.Go(func() { assert.NoError(t, c.get(t.Context())) })
	}
	group.Wait()
	require.Len(t, network.Sent, 7)
	for _, r := range network.Sent[1:] {
		assert.GreaterOrEqual(t, r.At.Sub(start), 2*time.Second, "the others too")
	}
	assert.Less(t, time.Since(start), 10*time.Second)
	c.requireSpent(7, 7)
}

// The answers say that it is an hour later than it is here.
func serverHour(seconds int, layout string) string {
	return time.Date(2000, 1, 1, 1, 0, seconds, 0, time.UTC).Format(layout)
}

// checkDelays: each value is the Retry-After of a 429, one line each. The delay before the next attempt is at least
// low, and less than high.
func checkDelays(t *testing.T, low, high time.Duration, values ...[]string) {
	t.Helper()
	for _, lines := range values {
		t.Run(strings.Join(lines, " and "), inBubble(func(t *testing.T) {
			header := []string{"Date", serverHour(0, http.TimeFormat)}
			for _, line := range lines {
				header = append(header, "Retry-After", line)
			}
			network := &testkit.Network{Answers: []testkit.Responder{testkit.Answer(429, header...), testkit.Answer(200)}}
			c := throughFault(t, network.Serve)
			c.limiter.Limiter = testkit.OpenLimiter{}
			require.NoError(t, c.post(t.Context()))
			delay := network.Sent[1].At.Sub(network.Sent[0].At)
			assert.GreaterOrEqual(t, delay, low)
			assert.Less(t, delay, high)
			c.requireSpent(2, 2)
		}))
	}
}

// Without a time, delays are at least the smallest one, and less than that and a second.
const (
	leastDelay = 500 * time.Millisecond
	mostDelay  = 1500 * time.Millisecond
)

func checkThrottledUntilDate(t *testing.T) {
	checkDelays(t, 7*time.Second, 7700*time.Millisecond+1,
		[]string{serverHour(7, http.TimeFormat)}, []string{serverHour(7, "Monday, 02-Jan-06 15:04:05 GMT")}, []string{serverHour(7, time.ANSIC)})
}

func checkThrottledForNothing(t *testing.T) {
	checkDelays(t, leastDelay, mostDelay, []string{"0"}, []string{"0.0"}, []string{"00"})
	inBubble(func(t *testing.T) {
		shortest, longest := testkit.Gaps(t, 200, 0, testkit.Answer(429, "Retry-After", "0"))
		assert.Greater(t, longest-shortest, (mostDelay-leastDelay)/2, "spread")
	})(t)
}

func checkThrottledWithJunk(t *testing.T) {
	checkDelays(t, leastDelay, mostDelay, []string{"-5"}, []string{"+5"}, []string{"abc"}, []string{"1e3"}, []string{"NaN"}, []string{"Inf"},
		[]string{"0x10"}, []string{"5, 9"}, []string{"5."}, []string{".5"}, []string{"5.5.5"}, []string{"٥"}, []string{""}, nil)
	checkDelays(t, 5*time.Second, 5500*time.Millisecond+1, []string{" 5 "}, []string{"5.0"})
	checkDelays(t, 6*time.Second, 6600*time.Millisecond+1, []string{"5.5"})
	checkDelays(t, 9*time.Second, 9900*time.Millisecond+1, []string{"3", "9"}, []string{"9", "3"}, []string{"soon", "9"}, []string{serverHour(7, http.TimeFormat), "9"})
}

func checkThrottledUntilThePast(t *testing.T) {
	checkDelays(t, leastDelay, mostDelay, []string{serverHour(-7, http.TimeFormat)}, []string{serverHour(0, http.TimeFormat)},
		[]string{"Thu, 01 Jan 1970 00:00:00 GMT"})
}

func checkThrottledForAnHour(t *testing.T) {
	for value, want := range map[string]time.Duration{"3600": time.Hour, "61": 61 * time.Second} {
		t.Run(value, inBubble(func(t *testing.T) { checkThrottledTooLong(t, value, want) }))
	}
}

func checkThrottledForAges(t *testing.T) {
	const centuries = 200 * 365 * 24 * time.Hour
	for _, value := range []string{"9223372037", "18446744074", "99999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"} {
		t.Run(value, inBubble(func(t *testing.T) { checkThrottledTooLong(t, value, centuries) }))
	}
}

// checkThrottledTooLong: a wait that is too long is the caller's to decide. The others are held back, but not for good.
func checkThrottledTooLong(t *testing.T, value string, atLeast time.Duration) {
	t.Helper()
	network := &testkit.Network{Answers: []testkit.Responder{testkit.Answer(429, "Retry-After", value), testkit.Answer(200)}}
	c, start := throughFault(t, network.Serve), time.Now()
	err := c.post(t.Context())
	var limited *drift.RateLimitError
	require.ErrorAs(t, err, &limited)
	assert.False(t, limited.Local)
	assert.GreaterOrEqual(t, limited.RetryAfter, atLeast)
	assert.Equal(t, "tests.fault", limited.Operation)
	assert.NotErrorIs(t, err, context.DeadlineExceeded, "it is not the deadline's fault")
	requireStatus(t, err, 429)

	pause := min(limited.RetryAfter, 5*time.Minute)
	ctx, cancel := context.WithTimeout(t.Context(), pause-time.Second)
	defer cancel()
	testkit.RequireLocalLimit(t, c.get(ctx), pause)
	assert.Zero(t, time.Since(start), "both at once")
	c.requireSpent(1, 1)

	require.NoError(t, c.get(t.Context()))
	assert.Equal(t, pause, time.Since(start))
	c.requireSpent(2, 2)
}

func checkThrottledWithoutATime(t *testing.T) {
	network := &testkit.Network{Answers: []testkit.Responder{testkit.Answer(429)}}
	c := throughFault(t, network.Serve)
	err := c.post(t.Context())
	require.ErrorIs(t, err, drift.ErrRateLimited)
	var limited *drift.RateLimitError
	require.ErrorAs(t, err, &limited)
	assert.Equal(t, time.Second, limited.RetryAfter, "what to try, as the service said nothing")
	for i, r := range network.Sent[1:] {
		gap := r.At.Sub(network.Sent[i].At)
		assert.GreaterOrEqual(t, gap, time.Second<<min(i, 5), "the pause doubles, and holds for all callers")
		assert.LessOrEqual(t, gap, time.Minute+time.Second)
	}
	c.requireSpent(len(network.Sent), len(network.Sent))
}

func checkThrottledForEver(t *testing.T) {
	const calls = 20
	network := &testkit.Network{Answers: []testkit.Responder{testkit.Answer(429, "Retry-After", "1")}}
	c := throughFault(t, network.Serve)
	for range calls {
		start := time.Now()
		require.ErrorIs(t, c.get(t.Context()), drift.ErrRateLimited)
		assert.LessOrEqual(t, time.Since(start), 6*time.Minute+5*time.Second)
	}
	assert.LessOrEqual(t, len(network.Sent), 7*calls)
	c.requireSpent(len(network.Sent), len(network.Sent))
}

func checkServerErrorOnce(t *testing.T) {
	network := &testkit.Network{Answers: []testkit.Responder{testkit.AnswerBody(500, markedHTML), testkit.AnswerBody(200, `{"data": {"id": 7}}`)}}
	c := throughFault(t, network.Serve)
	var response drift.Response
	tag, err := c.Tags.Get(t.Context(), 7, drift.WithResponse(&response))
	require.NoError(t, err)
	assert.Equal(t, drift.TagID(7), tag.ID)
	require.Len(t, response.Attempts, 2)
	assert.Equal(t, []int{500, 200}, []int{response.Attempts[0].StatusCode, response.Attempts[1].StatusCode})
	c.requireSpent(2, 2)
}

func checkBadGateway(t *testing.T) {
	for _, status := range []int{502, 504} {
		c := throughFault(t, testkit.AnswerBody(status, markedHTML, "Content-Type", asHTML))
		err := c.get(t.Context())
		require.ErrorIs(t, err, drift.ErrServer)
		requireStatus(t, err, status)
		assert.NotContains(t, err.Error(), "<")
		c.requireSpent(3, 3)
		err = c.post(t.Context())
		require.ErrorIs(t, err, drift.ErrAmbiguous)
		assert.NotContains(t, requireStatus(t, err, status).Error(), "<")
		c.requireSpent(4, 4)
	}
}

func checkUnavailableWrite(t *testing.T) {
	network := &testkit.Network{Answers: []testkit.Responder{testkit.Answer(503, "Retry-After", "7"), testkit.Answer(503, "Retry-After", "7"), testkit.Answer(200)}}
	c := throughFault(t, network.Serve)
	err := c.post(t.Context())
	require.ErrorIs(t, err, drift.ErrAmbiguous)
	assert.Equal(t, 7*time.Second, requireStatus(t, err, 503).RetryAfter)
	c.requireSpent(1, 1)
	require.NoError(t, c.post(t.Context(), drift.WithIdempotent()))
	assert.GreaterOrEqual(t, network.Sent[2].At.Sub(network.Sent[1].At), 7*time.Second)
	c.requireSpent(3, 3)
}

func checkMaintenance(t *testing.T) {
	network := &testkit.Network{Answers: []testkit.Responder{testkit.Answer(503, "Retry-After", "86400"), testkit.Answer(200)}}
	c, start := throughFault(t, network.Serve), time.Now()
	err := c.get(t.Context())
	require.ErrorIs(t, err, drift.ErrServer)
	assert.Equal(t, 24*time.Hour, requireStatus(t, err, 503).RetryAfter)
	assert.Zero(t, time.Since(start), "at once")
	testkit.RequireLocalLimit(t, c.get(t.Context(), drift.WithTimeout(time.Minute)), 5*time.Minute)
	c.requireSpent(1, 1)
	require.NoError(t, c.get(t.Context()))
	assert.Equal(t, 5*time.Minute, time.Since(start), "a client cannot be stopped for good")
}

func checkNoStatus(t *testing.T) {
	t.Run("status", everyMethod(broken, testkit.Answer(0), testkit.Answer(99), testkit.Answer(600), testkit.Answer(999)))
	for _, line := range []string{"HTTP/1.1 0 OK", "HTTP/1.1 099 OK", "HTTP/1.1 -200 OK", "HTTP/1.1 2e2 OK", "HTTP/1.1 2000 OK", "200 OK", "", "\x00\xff" + testkit.MarkedAnswer} {
		t.Run(line, func(t *testing.T) {
			var requests atomic.Int32
			c := serveFault(t, func(w http.ResponseWriter, _ *http.Request) {
				requests.Add(1)
				if conn, _, err := w.(http.Hijacker).Hijack(); assert.NoError(t, err) {
					_, _ = io.WriteString(conn, line+"\r\nContent-Length: 19\r\n\r\n{\"data\": {\"id\": 7}}")
					_ = conn.Close()
				}
			})
			err := c.get(t.Context())
			require.Error(t, err)
			assert.LessOrEqual(t, requests.Load(), int32(3))
			requests.Store(0)
			err = c.post(t.Context())
			require.ErrorIs(t, err, drift.ErrAmbiguous)
			assert.EqualValues(t, 1, requests.Load(), "a write is not sent again")
		})
	}
}

func checkDifferentErrors(t *testing.T) {
	network := &testkit.Network{Answers: []testkit.Responder{testkit.Answer(429), testkit.Answer(500), testkit.Answer(404)}}
	c := throughFault(t, network.Serve)
	err := c.get(t.Context())
	require.ErrorIs(t, err, drift.ErrNotFound)
	require.NotErrorIs(t, err, drift.ErrRateLimited)
	api := requireStatus(t, err, 404)
	var statuses []int
	for _, attempt := range api.Attempts {
		statuses = append(statuses, attempt.StatusCode)
	}
	assert.Equal(t, []int{429, 500, 404}, statuses)
	c.requireSpent(3, 3)
}

// kind names the type of an error, and of what an AmbiguousError wraps.
func kind(err error) string {
	var ambiguous *drift.AmbiguousError
	if errors.As(err, &ambiguous) {
		return "ambiguous " + kind(ambiguous.Err)
	}
	switch err.(type) {
	case nil:
		return "ok"
	case *drift.APIError:
		return "api"
	case *drift.RateLimitError:
		return "rate"
	case *drift.QuotaError:
		return "quota"
	case *drift.TransportError:
		return "transport"
	}
	return fmt.Sprintf("%T", err)
}

// A methodOf is a method with the options of its call.
type methodOf struct {
	method string
	opts   []drift.CallOption
}

var idempotent = []drift.CallOption{drift.WithIdempotent()}

// methodGroups are the methods that read, those that may be repeated, and those that must not be.
var methodGroups = [3][]methodOf{
	{{method: http.MethodGet}, {method: http.MethodHead}, {method: http.MethodOptions}},
	{{method: http.MethodDelete}, {http.MethodPost, idempotent}, {http.MethodPatch, idempotent}},
	{{method: http.MethodPost}, {method: http.MethodPatch}, {method: http.MethodPut}},
}

// expectation is how often a request is sent, and the kind of the error, when every attempt ends the same way.
type expectation struct {
	requests int
	kind     string
}

var (
	fine       = [3]expectation{{1, "ok"}, {1, "ok"}, {1, "ok"}}
	refused    = [3]expectation{{1, "api"}, {1, "api"}, {1, "api"}}
	transient  = [3]expectation{{3, "api"}, {3, "ambiguous api"}, {1, "ambiguous api"}}
	broken     = [3]expectation{{1, "api"}, {1, "ambiguous api"}, {1, "ambiguous api"}}
	lost       = [3]expectation{{3, "transport"}, {3, "ambiguous transport"}, {1, "ambiguous transport"}}
	unsent     = [3]expectation{{3, "transport"}, {3, "transport"}, {3, "transport"}}
	hopeless   = [3]expectation{{1, "transport"}, {1, "transport"}, {1, "transport"}}
	moved      = [3]expectation{{1, "transport"}, {1, "ambiguous transport"}, {1, "ambiguous transport"}}
	throttled  = [3]expectation{{11, "rate"}, {11, "rate"}, {11, "rate"}}
	fullMinute = [3]expectation{{6, "rate"}, {6, "rate"}, {6, "rate"}}
	toldToGo   = [3]expectation{{1, "rate"}, {1, "rate"}, {1, "rate"}}
	usedUp     = [3]expectation{{1, "quota"}, {1, "quota"}, {1, "quota"}}
)

type retryCase struct {
	name    string
	respond testkit.Responder
	want    [3]expectation
}

// retryTable lists what no row checks with every method.
func retryTable() []retryCase {
	table := []retryCase{
		{"not sent", testkit.NotSent, unsent},
		{"no such host", testkit.NoHost, hopeless},
		{"certificate", testkit.BadCert, hopeless},
		{"no answer", testkit.NoAnswer, lost},
		{"broken body", testkit.BrokenBody, lost},
		{"no answer from a transport that does not report", testkit.Fails(io.EOF), lost},
		{"neither an answer nor an error", func(*http.Request) (*http.Response, error) { return nil, nil }, lost},
		{"403 authentication_error", testkit.AuthenticationFailed, refused},
		{"403 quota", testkit.AnswerBody(403, `{"code":"QUOTA-1"}`), usedUp},
		{"429 quota", testkit.QuotaGone, usedUp},
		{"429 in 1 s", testkit.Answer(429, "Retry-After", "1"), throttled},
		{"429 in 60 s", testkit.Answer(429, "Retry-After", "60"), fullMinute},
		{"429 in 61 s", testkit.Answer(429, "Retry-After", "61"), toldToGo},
		{"503 in 1 s", testkit.Answer(503, "Retry-After", "1"), transient},
		{"503 in a day", testkit.Answer(503, "Retry-After", "86400"), broken},
	}
	for want, statuses := range map[[3]expectation][]int{
		fine:      {200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 299},
		refused:   {305, 306, 399, 400, 401, 403, 404, 407, 409, 416, 417, 418, 421, 422, 424, 426, 444, 499},
		transient: {502, 503, 504},
		broken:    {0, 99, 300, 506, 507, 508, 510, 511, 520, 529, 599, 600, 999},
		hopeless:  {307, 308},
		moved:     {301, 302, 303},
		usedUp:    {402},
		throttled: {429},
	} {
		for _, status := range statuses {
			table = append(table, retryCase{fmt.Sprint(status), testkit.Answer(status), want})
		}
	}
	return table
}

func TestRetryTable(t *testing.T) {
	for _, test := range retryTable() {
		for group, methods := range methodGroups {
			for _, m := range methods {
				synctest.Test(t, func(t *testing.T) {
					network := &testkit.Network{Answers: []testkit.Responder{test.respond}}
					client := testkit.Through(t, network.Serve, testkit.WithoutBudget)
					err := testkit.Call(t.Context(), client, m.method, m.opts...)
					got := expectation{len(network.Requests()), kind(err)}
					assert.Equal(t, test.want[group], got, "%s %s: %v", m.method, test.name, err)
				})
			}
		}
	}
}
