package pages

import (
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/internal/testkit"
)

// pages returns the text of the README and of every page in docs, by its path in the repository.
func pages(t *testing.T) map[string]string {
	t.Helper()
	root, texts := testkit.Root(t), map[string]string{}
	paths, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	require.NoError(t, err)
	more, err := filepath.Glob(filepath.Join(root, "*.md"))
	require.NoError(t, err)
	for _, name := range slices.Concat(paths, more) {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		relative, err := filepath.Rel(root, name)
		require.NoError(t, err)
		texts[filepath.ToSlash(relative)] = string(text)
	}
	return texts
}

var (
	quoted  = regexp.MustCompile("(?s)```.*?```|`[^`]*`")
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	dropped = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// TestLinks follows every link between the pages, to headings too.
func TestLinks(t *testing.T) {
	root, texts := testkit.Root(t), pages(t)
	for page, text := range texts {
		for _, match := range link.FindAllStringSubmatch(quoted.ReplaceAllString(text, ""), -1) {
			if strings.Contains(match[1], "://") {
				continue
			}
			target, fragment, _ := strings.Cut(match[1], "#")
			target = path.Join(path.Dir(page), target)
			if match[1][0] == '#' {
				target = page
			}
			_, err := os.Stat(filepath.Join(root, filepath.FromSlash(target)))
			assert.NoError(t, err, "%s links to %s", page, match[1])
			if fragment != "" {
				assert.Contains(t, anchors(texts[target]), fragment, "%s links to %s", page, match[1])
			}
		}
	}
}

// anchors returns the names of a page's headings as GitHub makes them.
func anchors(text string) []string {
	var names []string
	for _, match := range heading.FindAllStringSubmatch(text, -1) {
		name := dropped.ReplaceAllString(strings.ToLower(match[1]), "")
		names = append(names, strings.ReplaceAll(name, " ", "-"))
	}
	return names
}

// TestReadmeLinksEveryPage finds pages and examples that a reader of the README would miss.
func TestReadmeLinksEveryPage(t *testing.T) {
	texts := pages(t)
	for page := range texts {
		if strings.HasPrefix(page, "docs/") {
			assert.Contains(t, texts["README.md"], "("+page, "the README has no link to it")
		}
	}
	for _, example := range slices.Sorted(maps.Keys(examples(t))) {
		assert.Contains(t, texts["README.md"], "(examples/"+example+")", "the README has no link to it")
	}
}

// examples returns the folders of the examples.
func examples(t *testing.T) map[string]bool {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(testkit.Root(t), "examples"))
	require.NoError(t, err)
	found := map[string]bool{}
	for _, entry := range entries {
		if entry.IsDir() && entry.Name() != "internal" {
			found[entry.Name()] = true
		}
	}
	return found
}
