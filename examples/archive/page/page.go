// Package page shows an archive in a browser: the conversations, the contacts and the files, what is odd and what was
// verified. It also writes the same pages to a folder, and conversations as CSV and JSON Lines.
//
// The pages have no script. Bodies of messages are HTML that strangers wrote, so that only harmless elements of it are
// shown, and the Content-Security-Policy would not let anything else act.
package page

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"html/template"
	"net/http"
	"strconv"

	"github.com/driftsdk/drift/examples/archive/store"
)

//go:embed style.css templates/*.html
var assets embed.FS

var templates = template.Must(template.ParseFS(assets, "templates/*.html"))

// Handler serves the pages of an archive below /key/. It refuses requests without the key, from other names than
// localhost, and with other methods than GET and HEAD. The notice, if any, is shown on every page.
func Handler(archive *store.Store, key, notice string) http.Handler {
	s := server{archive: archive, site: site{root: "/" + key + "/", Notice: notice}}
	mux := http.NewServeMux()
	at := func(path string, handle func(http.ResponseWriter, *http.Request) error) {
		mux.HandleFunc("/"+key+path, func(w http.ResponseWriter, r *http.Request) {
			if err := handle(w, r); err != nil {
				s.fail(w, err)
			}
		})
	}
	at("", s.conversations)
	at("/{$}", s.conversations)
	at("/conversations/{id}", s.conversation)
	at("/contacts/{id}", s.contact)
	at("/files/{id}", s.file)
	at("/oddities", s.oddities)
	at("/verification", s.verification)
	at("/conversations.csv", s.csv)
	at("/conversations.jsonl", s.jsonLines)
	at("/style.css", s.style)
	at("/", func(http.ResponseWriter, *http.Request) error { return store.ErrNotFound })
	return guard(key, mux)
}

type server struct {
	archive *store.Store
	site    site
}

// site says where the pages are: below the key of a server, or in a folder.
type site struct {
	root   string // what every address begins with; in a folder, the way up
	Folder bool
	Notice string
}

func (s site) address(path string) string {
	if s.Folder {
		path += ".html"
	}
	return s.root + path
}

// Home returns the address of the list.
func (s site) Home() string {
	if s.Folder {
		return s.address("index")
	}
	return s.root
}

// Conversation returns the address of a conversation.
func (s site) Conversation(id int64) string {
	return s.address("conversations/" + strconv.FormatInt(id, 10))
}

// Contact returns the address of a contact.
func (s site) Contact(id int64) string { return s.address("contacts/" + strconv.FormatInt(id, 10)) }

// Oddities returns the address of the oddities.
func (s site) Oddities() string { return s.address("oddities") }

// Verification returns the address of the verification.
func (s site) Verification() string { return s.address("verification") }

// Style returns the address of the style sheet.
func (s site) Style() string { return s.root + "style.css" }

// Policy returns the Content-Security-Policy of a page in a folder, where there is no header to say it.
func (s site) Policy() string {
	return "default-src 'none'; style-src 'self' file:; form-action 'none'; base-uri 'none'"
}

// view is what a template gets.
type view struct {
	Site    site
	Title   string
	Section string // of the navigation
	Content any
}

// render returns a page. The two characters that make a browser write text backwards are replaced: with them,
// moc.elgoog reads google.com, and fdp.exe ends in pdf.
func render(name string, v view) ([]byte, error) {
	var page bytes.Buffer
	if err := templates.ExecuteTemplate(&page, name, v); err != nil {
		return nil, err
	}
	forwards := bytes.ReplaceAll(page.Bytes(), []byte("\u202e"), []byte("\ufffd"))
	return bytes.ReplaceAll(forwards, []byte("\u202d"), []byte("\ufffd")), nil
}

// show answers with a page, or with nothing of it if it cannot be rendered.
func (s *server) show(w http.ResponseWriter, status int, name string, v view) error {
	v.Site = s.site
	page, err := render(name, v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(page) // the browser may be gone
	return nil
}

// fail answers with an error.
func (s *server) fail(w http.ResponseWriter, err error) {
	status, title, text := http.StatusInternalServerError, "The archive cannot be read", err.Error()
	switch {
	case errors.Is(err, context.Canceled):
		return // the browser is gone
	case errors.Is(err, store.ErrNotFound):
		status, title, text = http.StatusNotFound, "Not found", "This is not in the archive."
	}
	if err := s.show(w, status, "error", view{Title: title, Content: text}); err != nil {
		refuse(w, http.StatusInternalServerError)
	}
}

// id returns the id in the path.
func id(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || id <= 0 {
		return 0, store.ErrNotFound
	}
	return id, nil
}

func (s *server) style(w http.ResponseWriter, _ *http.Request) error {
	css, err := assets.ReadFile("style.css")
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	_, _ = w.Write(css)
	return nil
}
