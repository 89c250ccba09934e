package understudy_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// busRules are the numbered rules of the bus and of its messages: those of a
// device, of a host, and of both. There is no HM-01.
func busRules() (ids []string) {
	for _, r := range []struct {
		prefix      string
		first, last int
	}{{"BD", 1, 18}, {"BH", 1, 16}, {"HM", 2, 13}} {
		for n := r.first; n <= r.last; n++ {
			ids = append(ids, fmt.Sprintf("%s-%02d", r.prefix, n))
		}
	}
	return ids
}

var busRule = regexp.MustCompile(`(?:^|[^A-Za-z0-9]|Test)(BD|BH|HM)-?([0-9]{2})(?:[^A-Za-z0-9]|$)`)

// rulesIn is the rules that a text names, such as BD-05 and TestBD05_BD06.
func rulesIn(text string) (ids []string) {
	for text != "" {
		m := busRule.FindStringSubmatchIndex(text)
		if m == nil {
			break
		}
		ids = append(ids, text[m[2]:m[3]]+"-"+text[m[4]:m[5]])
		text = text[m[5]:]
	}
	return ids
}

// Each numbered rule has a test that names it, in its own name or in what is
// said above or within it.
func TestEachRuleOfTheBusHasATestThatNamesIt(t *testing.T) {
	tests := map[string][]string{}
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") || !strings.Contains(path, string(filepath.Separator)) {
			return err
		}
		text, files := read(t, path), token.NewFileSet()
		f, err := parser.ParseFile(files, path, text, parser.ParseComments)
		if err != nil {
			return err
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv != nil || !strings.HasPrefix(fn.Name.Name, "Test") {
				continue
			}
			from := fn.Pos()
			if fn.Doc != nil {
				from = fn.Doc.Pos()
			}
			for _, id := range rulesIn(text[files.Position(from).Offset:files.Position(fn.End()).Offset]) {
				tests[id] = append(tests[id], path+": "+fn.Name.Name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	rules := busRules()
	for _, id := range rules {
		if len(tests[id]) == 0 {
			t.Errorf("no test names %s", id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(tests)) {
		if !slices.Contains(rules, id) {
			t.Errorf("there is no rule %s; it is named by %s", id, tests[id][0])
		}
		t.Logf("%s: %s", id, strings.Join(slices.Compact(tests[id]), ", "))
	}
}

// Code does not name rules that do not exist.
func TestCodeNamesRulesOfTheBusThatExist(t *testing.T) {
	rules, named := busRules(), 0
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		for _, id := range rulesIn(read(t, path)) {
			named++
			if !slices.Contains(rules, id) {
				t.Errorf("%s names %s, which is no rule", path, id)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if named < len(rules)/2 {
		t.Errorf("only %d mentions of rules were found", named)
	}
}
