package page

import (
	"mime"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/examples/archive/store"
)

// A file is a download, whatever it says that it is.
func TestFile(t *testing.T) {
	f := newFixture(t)
	f.talk(1, nil, "open")
	const content = "<!DOCTYPE html><script>alert(1)</script>"
	f.says(0, "x", f.file(7, "../../page.html", []byte(content)))
	w := ask(t, Handler(f.archive, key, ""), http.MethodGet, "/"+key+"/files/7", "localhost")
	require.Equal(t, http.StatusOK, w.Code)
	assert.Equal(t, content, w.Body.String())
	assert.Equal(t, "application/octet-stream", w.Header().Get("Content-Type"))
	disposition, parameters, err := mime.ParseMediaType(w.Header().Get("Content-Disposition"))
	require.NoError(t, err)
	assert.Equal(t, "attachment", disposition)
	assert.Equal(t, "_.._page.html", parameters["filename"])
	assertProtected(t, w.Header())
}

func TestFileName(t *testing.T) {
	for name, want := range map[string]string{
		"a.pdf": "a.pdf", "Größe 10.txt": "Größe 10.txt", "": "file", "..": "file", "../../etc/passwd": "_.._etc_passwd",
		`..\..\x.exe`: "_.._x.exe", "a\r\nSet-Cookie: x": "a__Set-Cookie_ x", "photo\u202egnp.exe": "photo_gnp.exe",
		"\x00": "_", "a\"b": "a_b", " .hidden. ": "hidden", "CON:": "CON_",
	} {
		assert.Equal(t, want, fileName(name), "%q", name)
	}
	long := fileName(strings.Repeat("ö", 300) + ".pdf")
	assert.LessOrEqual(t, len(long), longestName)
	assert.Regexp(t, `ö\.pdf$`, long)
}

func TestAttachment(t *testing.T) {
	served, folder := site{root: "/k/"}, site{root: "../", Folder: true}
	stored := store.Attachment{ID: 7, Name: "a.svg", State: "stored", Size: 1_500_000}
	assert.Equal(t, attachment{Name: "a.svg", Link: "/k/files/7", Size: "1.5 MB"}, served.attachment(stored))
	assert.Equal(t, "../files/7-a.svg.bin", folder.attachment(stored).Link)
	gone := served.attachment(store.Attachment{ID: 8, State: "gone"})
	assert.Equal(t, "file 8", gone.Name)
	assert.Empty(t, gone.Link)
	assert.Equal(t, "Drift no longer has this file", gone.State)
}
