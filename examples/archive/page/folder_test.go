package page

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/examples/archive/store"
	"github.com/driftsdk/drift/examples/archive/storetest"
)

// Every link in the folder leads to a file in the folder.
func TestFolderLinks(t *testing.T) {
	f := newFixture(t)
	f.acme()
	f.says(0, "more", f.file(8, "../../run.html", []byte("<script>")))
	for range listed {
		f.talk(101, map[string]any{"name": "Grace"}, "open")
	}
	dir := filepath.Join(t.TempDir(), "pages")
	_, err := WriteFolder(t.Context(), f.archive, store.Filter{}, dir)
	require.NoError(t, err)

	links, pages := regexp.MustCompile(`(?:href|src|action)="([^"#][^"]*)"`), 0
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := entry.Info()
		require.NoError(t, err)
		if runtime.GOOS != "windows" {
			assert.Zero(t, info.Mode().Perm()&0o077, path)
		}
		if filepath.Ext(path) != ".html" {
			return nil
		}
		pages++
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Contains(t, string(data), `http-equiv="Content-Security-Policy" content="default-src &#39;none&#39;;`)
		for _, link := range links.FindAllStringSubmatch(string(data), -1) {
			if strings.HasPrefix(link[1], "https://") {
				continue // in a message
			}
			target := filepath.Join(filepath.Dir(path), strings.ReplaceAll(link[1], "%20", " "))
			assert.FileExists(t, target, "linked from %s", path)
			assert.True(t, strings.HasPrefix(target, dir), target)
		}
		return nil
	}))
	assert.Equal(t, 54+4+2+2, pages, "conversations, contacts, pages of the list, reports")
	assert.FileExists(t, filepath.Join(dir, "files", "8-_.._run.html.bin"))
	list, err := os.ReadFile(filepath.Join(dir, "index.html"))
	require.NoError(t, err)
	assert.NotContains(t, string(list), "<form")
}

// With a filter, only what it selects is there, and whom it is about.
func TestFolderFilter(t *testing.T) {
	dir := t.TempDir()
	_, err := WriteFolder(t.Context(), storetest.Open(t), store.Filter{Status: "closed"}, dir)
	require.NoError(t, err)
	assert.FileExists(t, filepath.Join(dir, "conversations", "2.html"))
	assert.NoFileExists(t, filepath.Join(dir, "conversations", "1.html"))
	assert.NoFileExists(t, filepath.Join(dir, "contacts", "101.html"))
	file, err := os.ReadFile(filepath.Join(dir, "files", "1-screenshot.png"))
	require.NoError(t, err)
	assert.Equal(t, storetest.PNG, file)
}

func TestFolderIsNotEmpty(t *testing.T) {
	dir := t.TempDir()
	old := filepath.Join(dir, "old.html")
	require.NoError(t, os.WriteFile(old, nil, 0o600))
	_, err := WriteFolder(t.Context(), storetest.Open(t), store.Filter{}, dir)
	assert.ErrorContains(t, err, "is not empty")
	assert.FileExists(t, old)
}

// A folder that was not finished would keep the next export from the same name.
func TestFolderThatFails(t *testing.T) {
	s := storetest.Open(t)
	require.NoError(t, s.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE conversations SET created_at = 'broken' WHERE id = 3`)
		return err
	}))
	dir := filepath.Join(t.TempDir(), "pages")
	_, err := WriteFolder(t.Context(), s, store.Filter{}, dir)
	assert.Error(t, err)
	assert.NoDirExists(t, dir)
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, []byte("precious"), 0o600))
	_, err = WriteFolder(t.Context(), s, store.Filter{}, file)
	assert.Error(t, err)
	assert.FileExists(t, file)
}

// An archive without conversations has a list all the same.
func TestFolderEmpty(t *testing.T) {
	dir := t.TempDir()
	_, err := WriteFolder(t.Context(), newFixture(t).archive, store.Filter{}, dir)
	require.NoError(t, err)
	assert.FileExists(t, filepath.Join(dir, "index.html"))
}
