package page

import (
	"fmt"
	"mime"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/driftsdk/drift/examples/archive/store"
)

// file answers with an attachment as a download, whatever type its sender gave it: as HTML or SVG it would be a page of
// this server.
func (s *server) file(w http.ResponseWriter, r *http.Request) error {
	id, err := id(r)
	if err != nil {
		return err
	}
	a, err := s.archive.Attachment(r.Context(), id)
	if err != nil {
		return err
	}
	file, err := s.archive.OpenFile(a)
	if err != nil {
		return err
	}
	defer file.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", disposition(a.Name))
	http.ServeContent(w, r, "", time.Time{}, file)
	return nil
}

func disposition(name string) string {
	return mime.FormatMediaType("attachment", map[string]string{"filename": fileName(name)})
}

// fileName makes a name that a stranger chose harmless on every system: without folders, control characters and marks
// that reverse the text.
func fileName(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case strings.ContainsRune(`/\:*?"<>|`, r) || !unicode.IsPrint(r):
			return '_'
		}
		return r
	}, name)
	name = strings.Trim(name, ". ")
	if extension := filepath.Ext(name); len(name) > longestName && len(extension) < longestName/2 {
		name = strings.ToValidUTF8(name[:longestName-len(extension)], "") + extension
	}
	if name == "" {
		return "file"
	}
	return name
}

const longestName = 120

// attachment returns what a page shows of a file.
func (s site) attachment(a store.Attachment) attachment {
	shown := attachment{Name: a.Name, Size: size(a.Size)}
	if strings.TrimSpace(shown.Name) == "" {
		shown.Name = "file " + strconv.FormatInt(a.ID, 10)
	}
	switch a.State {
	case "stored":
		shown.Link = s.root + "files/" + strconv.FormatInt(a.ID, 10)
		if s.Folder {
			shown.Link = s.root + folderFile(a)
		}
	case "gone":
		shown.State = "Drift no longer has this file"
	default:
		shown.State = "not archived yet"
	}
	return shown
}

func size(bytes int64) string {
	switch {
	case bytes < 1_000:
		return fmt.Sprintf("%d bytes", bytes)
	case bytes < 1_000_000:
		return fmt.Sprintf("%.0f kB", float64(bytes)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(bytes)/1e6)
}
