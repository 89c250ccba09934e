package understudy_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The test in the README is one that runs.
func TestREADMEShowsATestThatRuns(t *testing.T) {
	readme := read(t, "README.md")
	_, code, ok := strings.Cut(readme, "```go\n")
	code, _, ok2 := strings.Cut(code, "```\n")
	if !ok || !ok2 {
		t.Fatal("README.md has no Go example")
	}
	if !strings.Contains(read(t, "understudytest/example_test.go"), code) {
		t.Error("the example of README.md is not in understudytest/example_test.go, word for word")
	}
}

// Links between the documents lead somewhere.
func TestLinksInDocumentsLeadToFiles(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)\)`)
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".md" {
			return err
		}
		for _, m := range link.FindAllStringSubmatch(read(t, path), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), m[1])); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Names in the life of a byte exist: each function in backticks with
// parentheses is declared in the package that the line names.
func TestLifeOfAByteNamesFunctionsThatExist(t *testing.T) {
	call := regexp.MustCompile("`([a-z]+(?:/[a-z]+)*)`[^`\n]*`([A-Za-z.]+)\\(\\)`")
	found := call.FindAllStringSubmatch(read(t, "docs/life-of-a-byte.md"), -1)
	if len(found) < 15 {
		t.Fatalf("only %d functions are named", len(found))
	}
	for _, m := range found {
		if !declared(t, m[1], m[2]) {
			t.Errorf("docs/life-of-a-byte.md names %s in %s, which does not exist", m[2], m[1])
		}
	}
}

// declared says whether package dir declares the function or method name,
// which may have its receiver's type in front.
func declared(t *testing.T, dir, name string) bool {
	t.Helper()
	for _, fn := range functions(t, dir) {
		if fn.Name.Name == name || receiver(fn)+"."+fn.Name.Name == name {
			return true
		}
	}
	return false
}

// functions are those of the package in dir, without its tests.
func functions(t *testing.T, dir string) []*ast.FuncDecl {
	t.Helper()
	var all []*ast.FuncDecl
	for _, f := range files(t, dir) {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok {
				all = append(all, fn)
			}
		}
	}
	return all
}

// files parses the package in dir, without its tests.
func files(t *testing.T, dir string) []*ast.File {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []*ast.File
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, e.Name()), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, f)
	}
	return all
}

func receiver(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return ""
	}
	typ := fn.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if id, ok := typ.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}
