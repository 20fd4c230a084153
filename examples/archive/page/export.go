package page

import (
	"bufio"
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/driftsdk/drift/examples/archive/store"
)

// WriteCSV writes the messages of the conversations that a filter selects, one in each line, and returns how many
// conversations there were. Instants are in UTC. A spreadsheet takes no cell for a formula: one that could be has a '
// in front.
func WriteCSV(
	ctx context.Context, archive *store.Store, filter store.Filter, w io.Writer,
) (conversations int, err error) {
	names, err := readAgents(ctx, archive)
	if err != nil {
		return 0, err
	}
	out := csv.NewWriter(w)
	if err := out.Write([]string{"conversation", "status", "contact", "name", "email", "message", "time", "author type",
		"author", "type", "text", "files"}); err != nil {
		return 0, err
	}
	for c, err := range archive.All(ctx, filter) {
		if err != nil {
			return conversations, err
		}
		messages, err := archive.Messages(ctx, c.ID)
		if err != nil {
			return conversations, err
		}
		contact := person{ID: c.ContactID, Name: contactName(c.ContactID, c.ContactName, c.ContactEmail)}
		for _, m := range messages {
			if err := out.Write(cells(c, m, author(m, contact, names))); err != nil {
				return conversations, err
			}
		}
		conversations++
	}
	out.Flush()
	return conversations, out.Error()
}

func cells(c *store.Summary, m store.Message, author string) []string {
	created := ""
	if !m.CreatedAt.IsZero() {
		created = m.CreatedAt.UTC().Format(time.RFC3339)
	}
	files := make([]string, len(m.Attachments))
	for i, a := range m.Attachments {
		files[i] = cmp.Or(a.Name, strconv.FormatInt(a.ID, 10))
	}
	row := []string{strconv.FormatInt(c.ID, 10), c.Status, strconv.FormatInt(c.ContactID, 10), c.ContactName,
		c.ContactEmail, strconv.FormatInt(m.ID, 10), created, m.AuthorType, author, m.Type, m.Text,
		strings.Join(files, "; ")}
	for i, cell := range row {
		row[i] = inert(cell)
	}
	return row
}

// inert keeps a spreadsheet from taking a cell for a formula. Where the semicolon separates cells, as in much of
// Europe, a spreadsheet also begins a cell after one, and a row after the end of a line.
func inert(cell string) string {
	return formula.ReplaceAllString(blank.ReplaceAllString(cell, "'$0"), "$1'$2")
}

var (
	formula = regexp.MustCompile(`((?:^|[;\t\r\n])["'\s]*)([=+\-@＝＋－＠])`)
	blank   = regexp.MustCompile(`^[\t\r]`) // some spreadsheets drop it
)

// line is a line of JSON Lines. Records are as the service sent them.
type line struct {
	Kind     string            `json:"kind"`
	Record   json.RawMessage   `json:"record,omitempty"`
	Details  json.RawMessage   `json:"details,omitempty"`  // of a conversation
	Messages []json.RawMessage `json:"messages,omitempty"` // of a conversation
	Files    []storedFile      `json:"files,omitempty"`    // of a conversation
	Oddity   *oddLine          `json:"oddity,omitempty"`
}

type storedFile struct {
	ID      int64  `json:"id"`
	Message int64  `json:"message"`
	Name    string `json:"name"`
	Path    string `json:"path,omitempty"` // in the folder of the archive; "": not archived
}

type oddLine struct {
	Operation string    `json:"operation"`
	Subject   string    `json:"subject"`
	Error     string    `json:"error"`
	SeenAt    time.Time `json:"seenAt"`
	Raw       string    `json:"raw,omitempty"`
}

// WriteJSONLines writes the conversations that a filter selects, each with its messages in one line, and their
// contacts, and returns how many conversations there were. Without a filter it writes everything else in the archive
// too, so that nothing is lost.
func WriteJSONLines(
	ctx context.Context, archive *store.Store, filter store.Filter, w io.Writer,
) (conversations int, err error) {
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	contacts := map[int64]bool{}
	for c, err := range archive.All(ctx, filter) {
		if err != nil {
			return conversations, err
		}
		l, err := conversationLine(ctx, archive, c)
		if err != nil {
			return conversations, err
		}
		if err := lines.Encode(l); err != nil {
			return conversations, err
		}
		contacts[c.ContactID] = true
		conversations++
	}
	if filter != (store.Filter{}) {
		return conversations, writeContacts(ctx, archive, lines, func(id int64) bool { return contacts[id] })
	}
	if err := writeContacts(ctx, archive, lines, func(int64) bool { return true }); err != nil {
		return conversations, err
	}
	return conversations, writeRest(ctx, archive, lines)
}

func conversationLine(ctx context.Context, archive *store.Store, c *store.Summary) (*line, error) {
	messages, err := archive.Messages(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	l := &line{Kind: "conversation", Record: c.Raw, Details: c.Details}
	for _, m := range messages {
		l.Messages = append(l.Messages, m.Raw)
		for _, a := range m.Attachments {
			file := storedFile{ID: a.ID, Message: m.ID, Name: a.Name}
			if a.State == "stored" {
				path, err := filepath.Rel(archive.Dir(), archive.Path(a.SHA256))
				if err != nil {
					return nil, err
				}
				file.Path = filepath.ToSlash(path)
			}
			l.Files = append(l.Files, file)
		}
	}
	return l, nil
}

func writeContacts(ctx context.Context, archive *store.Store, lines *json.Encoder, wanted func(int64) bool) error {
	contacts, err := archive.Contacts(ctx)
	if err != nil {
		return err
	}
	for _, contact := range contacts {
		if !wanted(contact.ID) {
			continue
		}
		if err := lines.Encode(line{Kind: "contact", Record: contact.Raw}); err != nil {
			return err
		}
	}
	return nil
}

func writeRest(ctx context.Context, archive *store.Store, lines *json.Encoder) error {
	for _, kind := range store.RecordKinds {
		records, err := archive.Records(ctx, kind)
		if err != nil {
			return err
		}
		for _, record := range records {
			if err := lines.Encode(line{Kind: kind, Record: record.Raw}); err != nil {
				return err
			}
		}
	}
	odd, err := archive.Oddities(ctx)
	if err != nil {
		return err
	}
	for _, o := range odd {
		if err := lines.Encode(line{Kind: "oddity", Oddity: &oddLine{
			Operation: o.Operation, Subject: o.Subject, Error: o.Error, SeenAt: o.SeenAt, Raw: string(o.Raw),
		}}); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) csv(w http.ResponseWriter, r *http.Request) error {
	return s.download(w, r, "conversations.csv", "text/csv; charset=utf-8", WriteCSV)
}

func (s *server) jsonLines(w http.ResponseWriter, r *http.Request) error {
	return s.download(w, r, "conversations.jsonl", "application/jsonl", WriteJSONLines)
}

type exporter func(context.Context, *store.Store, store.Filter, io.Writer) (int, error)

// download answers with an export. If it fails in the middle, the connection breaks, so that the browser does not take
// a part for the whole.
func (s *server) download(w http.ResponseWriter, r *http.Request, name, contentType string, write exporter) error {
	filter, err := parseSearch(r.URL.Query()).Filter()
	if err != nil {
		return s.show(w, http.StatusBadRequest, "error", view{Title: "This search is not possible", Content: err.Error()})
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Disposition", disposition(name))
	if r.Method == http.MethodHead {
		return nil // without reading the archive
	}
	out := bufio.NewWriterSize(w, 64<<10)
	if _, err := write(r.Context(), s.archive, filter, out); err != nil {
		if connection, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = connection.Close()
		}
		return nil
	}
	return out.Flush()
}
