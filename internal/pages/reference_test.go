package pages

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/doc"
	"go/doc/comment"
	"go/parser"
	"go/printer"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/internal/testkit"
)

// documented has the folders of the packages that users read about. Generated mocks are not among them.
var documented = []string{".", "classic", "drifttest", "filestore", "webhook", "driftotel", "redisstore"}

// pageWidth is how many columns of code pkg.go.dev shows without a scroll bar. A tab is as wide as four columns.
const pageWidth = 100

var layout = printer.Config{Mode: printer.UseSpaces | printer.TabIndent, Tabwidth: 4}

// reference returns the documentation of a package.
func reference(t *testing.T, folder string) (*doc.Package, *token.FileSet) {
	t.Helper()
	fset, dir := token.NewFileSet(), filepath.Join(testkit.Root(t), folder)
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	var files []*ast.File
	for _, name := range paths {
		file, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		require.NoError(t, err)
		files = append(files, file)
	}
	pkg, err := doc.NewFromFiles(fset, files, "github.com/driftsdk/drift/"+folder)
	require.NoError(t, err)
	return pkg, fset
}

// remark is a line of a declaration that is a comment.
var remark = regexp.MustCompile(`(?m)^\s*//.*$`)

// TestReferenceFitsThePage finds prose and examples that pkg.go.dev would show with a scroll bar: code in comments, and
// comments in code.
func TestReferenceFitsThePage(t *testing.T) {
	for _, folder := range documented {
		pkg, fset := reference(t, folder)
		for name, text := range comments(pkg) {
			for _, block := range new(comment.Parser).Parse(text).Content {
				if code, ok := block.(*comment.Code); ok {
					assertFits(t, pkg.Name+": comment of "+name, code.Text)
				}
			}
		}
		for name, declaration := range declarations(pkg) {
			var text bytes.Buffer
			require.NoError(t, layout.Fprint(&text, fset, declaration))
			assertFits(t, pkg.Name+"."+name, strings.Join(remark.FindAllString(text.String(), -1), "\n"))
		}
	}
}

func assertFits(t *testing.T, where, code string) {
	t.Helper()
	for line := range strings.Lines(code) {
		line = strings.ReplaceAll(strings.TrimRight(line, "\n"), "\t", "    ")
		assert.LessOrEqual(t, utf8.RuneCountInString(line), pageWidth, "%s: %s", where, line)
	}
}

// linked finds a link of a doc comment.
var linked = regexp.MustCompile(`\[\*?[A-Z][A-Za-z.]*\]`)

// TestDeclarationsReadAsPlainText finds links in the comments of methods and fields. There, pkg.go.dev and go doc show
// the brackets.
func TestDeclarationsReadAsPlainText(t *testing.T) {
	for _, folder := range documented {
		pkg, _ := reference(t, folder)
		for name, declaration := range declarations(pkg) {
			ast.Inspect(declaration, func(node ast.Node) bool {
				if field, ok := node.(*ast.Field); ok {
					assert.NotRegexp(t, linked, field.Doc.Text()+field.Comment.Text(), "%s.%s", pkg.Name, name)
				}
				return true
			})
		}
	}
}

// comments returns the doc comments of a package by what they belong to.
func comments(pkg *doc.Package) map[string]string {
	found := map[string]string{"the package": pkg.Doc}
	add := func(funcs []*doc.Func, receiver string) {
		for _, f := range funcs {
			found[receiver+f.Name] = f.Doc
		}
	}
	add(pkg.Funcs, "")
	for _, typ := range pkg.Types {
		found[typ.Name] = typ.Doc
		add(typ.Funcs, "")
		add(typ.Methods, typ.Name+".")
	}
	return found
}

// declarations returns the exported declarations of a package by their names.
func declarations(pkg *doc.Package) map[string]ast.Node {
	found := map[string]ast.Node{}
	values := func(all []*doc.Value) {
		for _, v := range all {
			found[strings.Join(v.Names, ", ")] = v.Decl
		}
	}
	funcs := func(all []*doc.Func, receiver string) {
		for _, f := range all {
			found[receiver+f.Name] = f.Decl
		}
	}
	values(pkg.Consts)
	values(pkg.Vars)
	funcs(pkg.Funcs, "")
	for _, typ := range pkg.Types {
		found[typ.Name] = typ.Decl
		values(typ.Consts)
		values(typ.Vars)
		funcs(typ.Funcs, "")
		funcs(typ.Methods, typ.Name+".")
	}
	return found
}

// TestOperationsAreListed holds the lists of operations in the documentation of both packages against the catalogues.
func TestOperationsAreListed(t *testing.T) {
	for folder, catalogue := range map[string][]testkit.Operation{
		".": testkit.Catalogue(t), "classic": testkit.ClassicCatalogue(t),
	} {
		pkg, _ := reference(t, folder)
		items := listItems(pkg)
		for _, operation := range catalogue {
			var links []string
			for _, call := range operation.Calls {
				links = append(links, call.Service+"Service."+call.Method)
			}
			want := fmt.Sprintf("%s: %s %s", strings.Join(links, ", "), operation.Method, operation.Path)
			assert.Contains(t, items, want, "links in the documentation of package %s", pkg.Name)
		}
	}
}

// listItems returns the items of the lists in a package's documentation, with links as text. A name in brackets that is
// not a link keeps its brackets.
func listItems(pkg *doc.Package) (items []string) {
	printer := &comment.Printer{TextWidth: -1}
	for _, block := range pkg.Parser().Parse(pkg.Doc).Content {
		if list, ok := block.(*comment.List); ok {
			for _, item := range list.Items {
				items = append(items, strings.TrimSpace(string(printer.Text(&comment.Doc{Content: item.Content}))))
			}
		}
	}
	return items
}
