package page

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/driftsdk/drift/examples/archive/store"
)

// oddity is an oddity as a page shows it.
type oddity struct {
	store.Oddity
	Raw string
}

type oddities struct {
	Oddities []oddity
	Next     string
}

func (s *server) oddities(w http.ResponseWriter, r *http.Request) error {
	all, err := s.archive.Oddities(r.Context())
	if err != nil {
		return err
	}
	from, _ := strconv.Atoi(r.URL.Query().Get("from"))
	from = min(max(from, 0), len(all))
	to := min(from+shown, len(all))
	content := newOddities(all[from:to])
	if to < len(all) {
		content.Next = s.site.Oddities() + "?from=" + strconv.Itoa(to)
	}
	return s.show(w, http.StatusOK, "oddities", view{Title: "Oddities", Section: "oddities", Content: content})
}

func newOddities(odd []store.Oddity) (content oddities) {
	for _, o := range odd {
		content.Oddities = append(content.Oddities, oddity{Oddity: o, Raw: pretty(o.Raw)})
	}
	return content
}

// verification is the content of the page with the last verification and the last runs.
type verification struct {
	Last *store.Verification
	Runs []run
}

// run is a run as a page shows it.
type run struct{ store.Run }

// Result says how the run ended.
func (r run) Result() string {
	switch {
	case r.EndedAt.IsZero():
		return "in progress, or stopped"
	case r.Status == 0:
		return "done"
	case r.Status == 3:
		return "done, except for what is listed"
	case r.Status == 75:
		return "stopped by a limit"
	}
	return fmt.Sprintf("failed, with status %d", r.Status)
}

// recent is how many runs are looked at.
const recent = 20

func (s *server) verification(w http.ResponseWriter, r *http.Request) error {
	content, err := readVerification(r.Context(), s.archive)
	if err != nil {
		return err
	}
	return s.show(w, http.StatusOK, "verification", view{
		Title: "Verification", Section: "verification", Content: content,
	})
}

func readVerification(ctx context.Context, archive *store.Store) (content verification, err error) {
	content.Last, err = archive.Verification(ctx)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return content, err
	}
	last, err := archive.Runs(ctx, recent)
	for _, r := range last {
		content.Runs = append(content.Runs, run{r})
	}
	return content, err
}
