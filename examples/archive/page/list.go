package page

import (
	"context"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/driftsdk/drift/examples/archive/store"
)

// listed is how many conversations a page of the list has.
const listed = 50

// list is the content of the page with the conversations.
type list struct {
	Search         Search
	Statuses       []string
	Agents         []agent
	Problem        string
	AsOf           time.Time // when the last sync ended
	Rows           []row
	Newer, Older   string
	CSV, JSONLines string
}

// row is a conversation in a list.
type row struct {
	store.Summary
	Name    string
	Email   string
	Gone    bool
	Snippet []part
	Tags    []string
	Hit     template.URL // with which a browser finds the first hit on the page of the conversation
}

// part is a part of a snippet. A hit is one of the words that were searched for.
type part struct {
	Text string
	Hit  bool
}

func (s *server) conversations(w http.ResponseWriter, r *http.Request) error {
	asked := parseSearch(r.URL.Query())
	content := list{
		Search: asked, Statuses: statuses(asked.Status),
		CSV:       s.site.root + "conversations.csv" + asked.all().query(),
		JSONLines: s.site.root + "conversations.jsonl" + asked.all().query(),
	}
	names, err := readAgents(r.Context(), s.archive)
	if err != nil {
		return err
	}
	content.Agents = names.list(asked.Agent)
	if content.AsOf, err = lastSync(r.Context(), s.archive); err != nil {
		return err
	}
	filter, err := asked.Filter()
	if err != nil {
		content.Problem = err.Error()
		return s.show(w, http.StatusBadRequest, "conversations", view{
			Title: "Conversations", Section: "conversations", Content: content,
		})
	}
	filter.Limit = listed
	page, err := s.archive.Page(r.Context(), filter)
	if err != nil {
		return err
	}
	content.Rows = rows(page.Rows)
	if asked.after != "" {
		content.Newer = s.site.Home() + asked.all().query()
	}
	if page.Next != (store.Position{}) {
		next := asked
		next.after = page.Next.String()
		content.Older = s.site.Home() + next.query()
	}
	return s.show(w, http.StatusOK, "conversations", view{
		Title: "Conversations", Section: "conversations", Content: content,
	})
}

// statuses are those that Drift has, and the chosen one.
func statuses(chosen string) []string {
	known := []string{"open", "closed", "pending", "bulk_sent"}
	if chosen != "" && !slices.Contains(known, chosen) {
		known = append(known, chosen)
	}
	return known
}

// lastSync returns when the last sync ended, or the zero time.
func lastSync(ctx context.Context, archive *store.Store) (at time.Time, err error) {
	runs, err := archive.Runs(ctx, recent)
	if i := slices.IndexFunc(runs, func(r store.Run) bool { return r.Command == "sync" }); i >= 0 {
		at = runs[i].EndedAt
	}
	return at, err
}

// all is the same search from its beginning.
func (s Search) all() Search {
	s.after = ""
	return s
}

func rows(summaries []store.Summary) []row {
	rows := make([]row, len(summaries))
	for i, summary := range summaries {
		rows[i] = row{
			Summary: summary, Name: contactName(summary.ContactID, summary.ContactName, summary.ContactEmail),
			Gone: !summary.GoneAt.IsZero(), Snippet: parts(summary.Snippet), Tags: tags(summary.Details),
		}
		if hit := slices.IndexFunc(rows[i].Snippet, func(p part) bool { return p.Hit }); hit >= 0 {
			rows[i].Hit = template.URL("#:~:text=" + strings.ReplaceAll(url.QueryEscape(rows[i].Snippet[hit].Text), "+", "%20"))
		}
		if rows[i].Name != summary.ContactEmail {
			rows[i].Email = summary.ContactEmail
		}
	}
	return rows
}

// parts splits a snippet at its hits.
func parts(snippet string) (parts []part) {
	for len(snippet) > 0 {
		before, rest, _ := strings.Cut(snippet, store.HitBegins)
		hit, after, _ := strings.Cut(rest, store.HitEnds)
		for _, p := range []part{{Text: before}, {Text: hit, Hit: true}} {
			if p.Text != "" {
				parts = append(parts, p)
			}
		}
		snippet = after
	}
	return parts
}
