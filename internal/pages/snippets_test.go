package pages

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/internal/testkit"
)

// imported has the packages that code on a page may use without an import.
var imported = []string{
	"context", "crypto/rand", "crypto/subtle", "errors", "fmt", "io", "log", "log/slog", "net/http",
	"net/http/httptest", "os", "testing", "testing/synctest", "time",
	"golang.org/x/oauth2",
	"github.com/stretchr/testify/assert", "github.com/stretchr/testify/mock", "github.com/stretchr/testify/require",
	"github.com/driftsdk/drift", "github.com/driftsdk/drift/classic", "github.com/driftsdk/drift/driftmock",
	"github.com/driftsdk/drift/drifttest", "github.com/driftsdk/drift/drifttest/storetest",
	"github.com/driftsdk/drift/filestore", "github.com/driftsdk/drift/webhook",
}

// elsewhere finds code that uses packages of other modules, whose tests compile it.
var elsewhere = regexp.MustCompile(`\b(driftotel|redisstore|recorder|cassette)\.`)

// before is code of another client, for comparison.
var before = regexp.MustCompile(`(?s)// before\n.*?// after\n`)

// presupposed has the variables that code on a page uses and does not declare.
const presupposed = `
	ctx                               context.Context
	t                                 *testing.T
	client                            *drift.Client
	id                                drift.ConversationID
	file                              *os.File
	token, code                       string
	stateOfSession, verifierOfSession string
	body, invoice, call               string
	config                            drift.OAuthConfig
	srv                               *drifttest.Server
	handler                           *webhook.Handler
	mux                               *http.ServeMux
	w                                 http.ResponseWriter
	r                                 *http.Request
	newStore  func(*testing.T) drift.WindowStore
	mylimiter interface{ New(drift.WindowStore, int) drift.Limiter }
	escalate func(context.Context, *drift.Client, drift.ConversationID) error
	tickets  interface{ Append(context.Context, drift.ConversationID, string) error }
	accounts interface{ Disable(context.Context, drift.OrgID) error }
	invoices interface{ Send(context.Context, drift.ConversationID) error }
	roster   interface{ Set(context.Context, drift.UserID, webhook.Availability) error }
`

// onlyHere replaces what a page presupposes under another type.
var onlyHere = map[string]*strings.Replacer{
	"docs/oauth.md": strings.NewReplacer("token, code", "code", "\tctx ", "\ttoken *oauth2.Token\n\tctx "),
}

// TestCodeOnPages compiles every block of Go code of the README and of docs.
func TestCodeOnPages(t *testing.T) {
	fset := token.NewFileSet()
	packages := importer.ForCompiler(fset, "gc", exportData(t))
	found := 0
	for page, text := range pages(t) {
		for i, code := range blocks(text, "go") {
			if elsewhere.MatchString(code) {
				continue
			}
			found++
			t.Run(fmt.Sprintf("%s/%d", page, i+1), func(t *testing.T) {
				source := program(page, before.ReplaceAllString(code, ""))
				for _, problem := range compile(fset, packages, source) {
					t.Error(problem)
				}
				if t.Failed() {
					t.Log(source)
				}
			})
		}
	}
	assert.Greater(t, found, 25)
}

// blocks returns the blocks of code in a language.
func blocks(text, language string) []string {
	var found []string
	for _, match := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```").FindAllStringSubmatch(text, -1) {
		found = append(found, match[1])
	}
	return found
}

// program makes a file of a block, which may be a file, declarations, or statements of a function.
func program(page, code string) string {
	code = strings.ReplaceAll(code, "…", "")
	if strings.HasPrefix(code, "package ") {
		return code
	}
	variables := presupposed
	if replacer := onlyHere[page]; replacer != nil {
		variables = replacer.Replace(variables)
	}
	var head strings.Builder
	head.WriteString("package page\n\nimport (\n")
	for _, name := range imported {
		if strings.Contains(variables+code, path.Base(name)+".") {
			fmt.Fprintf(&head, "\t%q\n", name)
		}
	}
	fmt.Fprintf(&head, ")\n\nvar (%s)\n\n", variables)
	if _, err := parser.ParseFile(token.NewFileSet(), "", "package page\n"+code, 0); err == nil {
		return head.String() + code
	}
	return head.String() + "func _() (err error) {\n{\n" + code + "}\nreturn nil\n}\n"
}

// compile returns what the compiler would refuse, other than variables and imports that are not used.
func compile(fset *token.FileSet, packages types.Importer, source string) (problems []error) {
	file, err := parser.ParseFile(fset, "page.go", source, 0)
	if err != nil {
		return []error{err}
	}
	config := types.Config{Importer: packages, Error: func(err error) {
		if problem, ok := err.(types.Error); ok && !problem.Soft {
			problems = append(problems, problem)
		}
	}}
	_, _ = config.Check("page", fset, []*ast.File{file}, nil)
	return problems
}

// exportData returns what the go command has compiled for the packages that pages import.
func exportData(t *testing.T) func(name string) (io.ReadCloser, error) {
	t.Helper()
	arguments := append([]string{"list", "-e", "-export", "-deps", "-json=ImportPath,Export"}, imported...)
	command := exec.CommandContext(t.Context(), "go", arguments...)
	command.Dir = testkit.Root(t)
	output, err := command.Output()
	require.NoError(t, err)
	files := map[string]string{}
	for decoder := json.NewDecoder(bytes.NewReader(output)); decoder.More(); {
		var compiled struct{ ImportPath, Export string }
		require.NoError(t, decoder.Decode(&compiled))
		files[compiled.ImportPath] = compiled.Export
	}
	return func(name string) (io.ReadCloser, error) {
		if files[name] == "" {
			return nil, fmt.Errorf("%s: not among the %d packages that compile", name, len(files))
		}
		return os.Open(files[name])
	}
}
