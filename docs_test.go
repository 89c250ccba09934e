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

// functions parses the package in dir, without its tests.
func functions(t *testing.T, dir string) []*ast.FuncDecl {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []*ast.FuncDecl
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, e.Name()), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok {
				all = append(all, fn)
			}
		}
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

// A method that does nothing but return ErrUnsupported must be listed in the
// README among what is not there yet, by its name.
func TestMethodsThatOnlySayUnsupportedAreInTheREADME(t *testing.T) {
	readme := read(t, "README.md")
	for _, dir := range []string{"driver", "driver/hostnet"} {
		for _, fn := range functions(t, dir) {
			if fn.Name.IsExported() && ast.IsExported(receiver(fn)) && onlyUnsupported(fn) && !strings.Contains(readme, "`"+fn.Name.Name+"`") {
				t.Errorf("%s: %s.%s only returns ErrUnsupported, and README.md does not say so", dir, receiver(fn), fn.Name.Name)
			}
		}
	}
}

// onlyUnsupported says whether a function is a single return with
// ErrUnsupported in it.
func onlyUnsupported(fn *ast.FuncDecl) bool {
	if fn.Body == nil || len(fn.Body.List) != 1 {
		return false
	}
	ret, ok := fn.Body.List[0].(*ast.ReturnStmt)
	if !ok {
		return false
	}
	found := false
	ast.Inspect(ret, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && id.Name == "ErrUnsupported" {
			found = true
		}
		return true
	})
	return found
}

// Every exported method of the driver's three types names the documented
// function that it stands for, or says that there is none.
func TestDriverMethodsNameTheDocumentedFunction(t *testing.T) {
	// What Go adds to the document, and parts of a value's nature.
	own := map[string]bool{
		"Client.Driver": true, "Client.Err": true, "Client.IPConfig": true, "Client.OnIP": true, "Client.AskAssoc": true,
		"Client.EchoHook": true, "Client.ResolveHook": true, "Client.SocketHook": true, "Socket.RecvHook": true,
		"Socket.ID": true, "Socket.String": true, "Socket.Valid": true,
		"Driver.Hook": true, "Driver.Config": true, "Driver.Stats": true, "Driver.Err": true,
	}
	n := 0
	for _, fn := range functions(t, "driver") {
		name := receiver(fn) + "." + fn.Name.Name
		switch receiver(fn) {
		case "Client", "Driver", "Socket":
		default:
			continue
		}
		if !fn.Name.IsExported() || own[name] {
			continue
		}
		n++
		if doc := strings.Join(strings.Fields(fn.Doc.Text()), " "); !strings.Contains(doc, "stands for") {
			t.Errorf("%s: the comment does not say which documented function it stands for", name)
		}
	}
	if n < 40 {
		t.Errorf("only %d methods were looked at", n)
	}
}
