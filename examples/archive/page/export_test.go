package page

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/examples/archive/store"
	"github.com/driftsdk/drift/examples/archive/storetest"
)

func TestCSV(t *testing.T) {
	rows, err := csv.NewReader(strings.NewReader(get(t, storetest.Open(t), "/conversations.csv"))).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 6, "a heading and five messages")
	assert.Equal(t, []string{"1", "open", "101", "Ada", "ada@example.com", "1", "2025-03-01T09:01:00Z", "contact", "Ada",
		"chat", "Hello, how much is the analytical engine?", ""}, rows[1])
	assert.Equal(t, "Mia", rows[2][8])
	assert.Equal(t, "private_note", rows[3][9])
	assert.Equal(t, "screenshot.png; '=evil().pdf", rows[4][11])

	some := get(t, storetest.Open(t), "/conversations.csv?status=closed&q=screenshot")
	filtered, err := csv.NewReader(strings.NewReader(some)).ReadAll()
	require.NoError(t, err)
	assert.Len(t, filtered, 2)
}

// A spreadsheet runs what begins like a formula.
func TestCSVFormulas(t *testing.T) {
	f := newFixture(t)
	f.talk(1, map[string]any{"name": "@SUM(1)", "email": "+x@y.example"}, "-open")
	for _, text := range []string{
		`=HYPERLINK("http://evil.example/")`, "+1", "-1", "@x", "\t=1", "\r=1", "fine = fine", "", "=\"a\"\n=1",
		"＝1", "x; =cmd|' /C calc'!A0;", "x;\"@x", "x\r\n\t+1;-1", "a-b; c=d",
	} {
		f.says(0, text, f.file(f.messages+1, "=cmd|' /C calc'!A0.pdf", nil))
	}
	rows, err := csv.NewReader(strings.NewReader(get(t, f.archive, "/conversations.csv"))).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 15)
	for _, row := range rows {
		for _, cell := range row { // a spreadsheet of another country separates cells by semicolons
			assert.NotRegexp(t, `^[\t\r]`, cell)
			for _, part := range strings.FieldsFunc(cell, func(r rune) bool { return strings.ContainsRune(";\n\r", r) }) {
				assert.NotRegexp(t, `^["\s]*[=+\-@＝＋－＠]`, part, "%q", cell)
			}
		}
	}
	assert.Equal(t, "'-1", rows[3][10])
	assert.Equal(t, "fine = fine", rows[7][10])
	assert.Equal(t, "a-b; c=d", rows[14][10])
}

func TestJSONLines(t *testing.T) {
	s := storetest.Open(t)
	var lines []map[string]any
	for text := range strings.Lines(get(t, s, "/conversations.jsonl")) {
		var line map[string]any
		require.NoError(t, json.Unmarshal([]byte(text), &line), text)
		lines = append(lines, line)
	}
	kinds := map[any]int{}
	for _, line := range lines {
		kinds[line["kind"]]++
	}
	assert.Equal(t, map[any]int{"conversation": 3, "contact": 2, "user": 2, "team": 1, "account": 1, "meeting": 1,
		"playbook": 1, "oddity": 2}, kinds, "everything")
	assert.Len(t, lines[0]["messages"], 3)
	files := lines[1]["files"].([]any)
	require.Len(t, files, 2)
	assert.Regexp(t, `^attachments/[0-9a-f]{2}/[0-9a-f]{64}$`, files[0].(map[string]any)["path"])

	filtered := get(t, s, "/conversations.jsonl?contact=101")
	assert.Equal(t, 2, strings.Count(filtered, "\n"), "the conversation and its contact")
	assert.Contains(t, filtered, `"body":"<p>Hello, how much`, "as the service sent it")
}

// Who asks for an archive that breaks in the middle does not get a part as if it were the whole.
func TestDownloadThatFails(t *testing.T) {
	s := storetest.Open(t)
	require.NoError(t, s.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE conversations SET created_at = 'broken' WHERE id = 3`)
		return err
	}))
	server := httptest.NewServer(Handler(s, key, ""))
	t.Cleanup(server.Close)
	response, err := http.Get(server.URL + "/" + key + "/conversations.csv")
	if err == nil {
		defer response.Body.Close()
		_, err = new(bytes.Buffer).ReadFrom(response.Body)
	}
	assert.Error(t, err)
}

// HEAD does not read the archive.
func TestDownloadHead(t *testing.T) {
	s := storetest.Open(t)
	require.NoError(t, s.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE conversations SET created_at = 'broken'`)
		return err
	}))
	w := ask(t, Handler(s, key, ""), http.MethodHead, "/"+key+"/conversations.csv", "localhost")
	assert.Equal(t, http.StatusOK, w.Code)
	assert.Equal(t, "text/csv; charset=utf-8", w.Header().Get("Content-Type"))
	assert.Zero(t, w.Body.Len())
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("the disk is full") }

func TestExportStops(t *testing.T) {
	s := storetest.Open(t)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, write := range []exporter{WriteCSV, WriteJSONLines} {
		_, err := write(t.Context(), s, store.Filter{}, failing{})
		assert.ErrorContains(t, err, "the disk is full")
		_, err = write(cancelled, s, store.Filter{}, failing{})
		assert.ErrorIs(t, err, context.Canceled)
	}
}
