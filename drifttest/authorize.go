package drifttest

import (
	"crypto/rand"
	"fmt"
	"html"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Allow acts as a user who opens authURL, made by [drift.OAuthConfig.AuthCodeURL], and grants access. It returns the
// URL that the browser is redirected to: the app's redirect URL with code and state.
//
//	code := srv.Allow(config.AuthCodeURL(state)).Query().Get("code")
//
// If the page would show the user an error, for instance because the app is unknown, Allow ends the test that started
// the server, or panics if no test did.
func (s *Server) Allow(authURL string) *url.URL {
	s.t.Helper()
	return s.visit(authURL, true)
}

// Deny is like Allow, but the user denies access: the URL has error=access_denied in place of the code.
func (s *Server) Deny(authURL string) *url.URL {
	s.t.Helper()
	return s.visit(authURL, false)
}

func (s *Server) visit(authURL string, allow bool) *url.URL {
	s.t.Helper()
	query, ok := strings.CutPrefix(authURL, s.URL+authorizePath+"?")
	if !ok {
		s.t.Fatalf("drifttest: the URL must begin with that of this server's authorize page, %s", s.URL+authorizePath)
		return nil
	}
	s.mu.Lock()
	target, err := s.answerPage(query, allow)
	s.mu.Unlock()
	if err != nil {
		s.t.Fatalf("drifttest: the authorize page shows an error: %v", err)
		return nil
	}
	return target
}

func (s *Server) answerPage(query string, allow bool) (*url.URL, error) {
	now := s.settings.clock()
	asked, target, err := s.settings.app.readAuthorize(query)
	if err != nil || target != nil {
		return target, err
	}
	return s.oauth.decide(asked, allow, now), nil
}

// showAuthorize answers the browser that opens the authorize page. It redirects only to a known app at a registered
// URL, so it shows the user any error before that.
func (s *Server) showAuthorize(e *exchange) answer {
	asked, target, err := s.settings.app.readAuthorize(e.request.URL.RawQuery)
	switch {
	case err != nil:
		return htmlPage(http.StatusBadRequest, "This link does not work", "<p>"+html.EscapeString(err.Error())+"</p>")
	case target != nil:
		return redirect(target)
	}
	id := rand.Text()
	s.mu.Lock()
	s.oauth.pending[digestOf(id)] = asked
	s.mu.Unlock()
	return htmlPage(http.StatusOK, "Connect an app", fmt.Sprintf(question,
		html.EscapeString(s.settings.app.ClientID), html.EscapeString(hostOf(asked.redirect)), authorizePath, id))
}

const question = `<p>The app <strong>%s</strong> asks for access to this account.
You then return to <strong>%s</strong>.</p>
<form method="post" action="%s">
<input type="hidden" name="request" value="%s">
<button id="allow" name="decision" value="allow">Allow</button>
<button id="deny" name="decision" value="deny">Deny</button>
</form>`

// decideAuthorize answers the browser after the user has pressed a button of the page.
func (s *Server) decideAuthorize(e *exchange) answer {
	form, err := formBody(e.body)
	decision := form["decision"]
	if err != nil || (decision != "allow" && decision != "deny") {
		return htmlPage(http.StatusBadRequest, "This form does not work", "<p>decision: must be allow or deny</p>")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id := digestOf(form["request"])
	asked := s.oauth.pending[id]
	delete(s.oauth.pending, id)
	if asked == nil {
		return htmlPage(http.StatusBadRequest, "Already answered", "<p>Start again in the app.</p>")
	}
	return redirect(s.oauth.decide(asked, decision == "allow", e.now))
}

// decide returns the URL that takes the user's decision back to the app.
func (o *oauth) decide(asked *authorization, allow bool, now time.Time) *url.URL {
	if !allow {
		return asked.refuse("access_denied", "The user denied access")
	}
	code := "code-" + rand.Text()
	asked.expires = now.Add(codeLifetime)
	asked.family = &family{}
	o.codes[digestOf(code)] = asked
	return asked.redirectWith(url.Values{"code": {code}})
}

// readAuthorize checks the query of the authorize page. An error is shown to the user. A target takes the browser back
// to the app at once, with an error for the app.
func (app OAuthApp) readAuthorize(query string) (asked *authorization, target *url.URL, err error) {
	params, err := formBody([]byte(query))
	if err != nil {
		return nil, nil, err
	}
	if params["client_id"] != app.ClientID {
		return nil, nil, fmt.Errorf("client_id: there is no app with that id")
	}
	if !app.allowsRedirect(params["redirect_uri"]) {
		return nil, nil, fmt.Errorf("redirect_uri: must be one of the app's redirect URLs")
	}
	asked = &authorization{
		redirect:  params["redirect_uri"],
		state:     params["state"],
		challenge: params["code_challenge"],
	}
	if code, description := authorizeError(params); code != "" {
		return nil, asked.refuse(code, description), nil
	}
	return asked, nil, nil
}

// authorizeError returns the first error in the parameters, as RFC 6749, section 4.1.2.1, names it.
func authorizeError(params map[string]string) (code, description string) {
	known := []string{"client_id", "code_challenge", "code_challenge_method", "redirect_uri", "response_type", "state"}
	for _, name := range slices.Sorted(maps.Keys(params)) {
		if !slices.Contains(known, name) {
			return "invalid_request", name + ": unknown parameter"
		}
	}
	_, hasChallenge := params["code_challenge"]
	method := params["code_challenge_method"]
	switch {
	case params["response_type"] != "code":
		return "unsupported_response_type", "response_type: must be code"
	case params["state"] == "":
		return "invalid_request", "state: is missing"
	case hasChallenge && (len(params["code_challenge"]) != 43 || method != "S256"):
		return "invalid_request", "code_challenge: must be made by the method S256"
	case !hasChallenge && method != "":
		return "invalid_request", "code_challenge_method: needs a code_challenge"
	}
	return "", ""
}

func (a *authorization) refuse(code, description string) *url.URL {
	return a.redirectWith(url.Values{"error": {code}, "error_description": {description}})
}

// redirectWith adds parameters to the app's redirect URL, and the app's state.
func (a *authorization) redirectWith(params url.Values) *url.URL {
	target, err := url.Parse(a.redirect)
	if err != nil {
		panic(err) // it was parsed before
	}
	query := target.Query()
	maps.Copy(query, params)
	if a.state != "" {
		query.Set("state", a.state)
	}
	target.RawQuery = query.Encode()
	return target
}

func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Host
}

func redirect(target *url.URL) answer {
	header := noStore()
	header.Set("Location", target.String())
	header.Set("Content-Type", htmlType)
	header.Set("Referrer-Policy", "no-referrer")
	return answer{status: http.StatusSeeOther, header: header}
}

const htmlType = "text/html; charset=utf-8"

// htmlPage makes a page. The title is plain text, the content HTML.
func htmlPage(status int, title, content string) answer {
	header := noStore()
	header.Set("Content-Type", htmlType)
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	return answer{status: status, header: header, body: fmt.Appendf(nil, layout, title, title, content)}
}

const layout = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>%s</title>
<style>
body{font-family:sans-serif;line-height:1.5;max-width:30rem;margin:4rem auto;padding:0 1rem}
button{font:inherit;padding:.4rem 1.2rem}
</style>
</head>
<body>
<h1>%s</h1>
%s
</body>
</html>
`
