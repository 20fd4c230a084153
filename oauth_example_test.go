package drift_test

import (
	"crypto/rand"
	"crypto/subtle"
	"net/http"

	"golang.org/x/oauth2"

	"github.com/driftsdk/drift"
)

// Two handlers of a web application: the button, and the callback.
func ExampleOAuthConfig() {
	config := drift.OAuthConfig{ClientID: "id", ClientSecret: "secret", RedirectURL: "https://app.example.com/callback"}
	store := drift.NewMemoryTokenStore(nil) // better: filestore.OpenTokens

	const stateCookie, verifierCookie = "__Host-state", "__Host-verifier"
	http.HandleFunc("/connect", func(w http.ResponseWriter, r *http.Request) {
		state, verifier := rand.Text(), oauth2.GenerateVerifier()
		for name, value := range map[string]string{stateCookie: state, verifierCookie: verifier} {
			http.SetCookie(w, &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: 600, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
		}
		http.Redirect(w, r, config.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier)), http.StatusSeeOther)
	})
	http.HandleFunc("/callback", func(w http.ResponseWriter, r *http.Request) {
		state, stateErr := r.Cookie(stateCookie)
		verifier, verifierErr := r.Cookie(verifierCookie)
		if stateErr != nil || verifierErr != nil || subtle.ConstantTimeCompare([]byte(state.Value), []byte(r.FormValue("state"))) != 1 {
			http.Error(w, "this browser has not asked", http.StatusBadRequest)
			return
		}
		http.SetCookie(w, &http.Cookie{Name: stateCookie, Path: "/", MaxAge: -1, Secure: true}) // it is good once
		token, err := config.Exchange(r.Context(), r.FormValue("code"), oauth2.VerifierOption(verifier.Value))
		if err == nil {
			err = store.Save(r.Context(), token)
		}
		if err != nil {
			http.Error(w, "not authorized", http.StatusBadGateway)
			return
		}
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})

	source := config.TokenSource(store)
	defer source.Close()
	client, err := drift.NewClient(drift.WithTokenSource(source))
	if err != nil {
		return
	}
	defer client.Close()
}
