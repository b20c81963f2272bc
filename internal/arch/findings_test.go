package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// found is what the sources say of one kind of finding.
type found struct {
	kind       string
	severities map[string]bool // that it begins with, where the source says so outright
}

// findings reads the kinds of finding from the constants of a package, and the severities from the places where findings are made.
func findings(t *testing.T, dir, prefix string, into map[string]*found) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v", dir, err)
	}
	names, trees := map[string]string{}, []*ast.File{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		trees = append(trees, f)
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST {
				continue
			}
			for _, s := range g.Specs {
				v := s.(*ast.ValueSpec)
				for i, id := range v.Names {
					if strings.HasPrefix(id.Name, prefix) && i < len(v.Values) {
						if kind := text(v.Values[i]); kind != "" {
							names[id.Name] = kind
							into[kind] = &found{kind, map[string]bool{}}
						}
					}
				}
			}
		}
	}
	say := func(kind, severity ast.Expr) {
		id, ok := kind.(*ast.Ident)
		if !ok || names[id.Name] == "" {
			return
		}
		s := text(severity)
		if x, ok := severity.(*ast.Ident); ok && len(x.Name) == 4 && strings.HasPrefix(x.Name, "sev") {
			s = strings.ToUpper(x.Name)
		}
		if s != "" {
			into[names[id.Name]].severities[s] = true
		}
	}
	for _, f := range trees {
		ast.Inspect(f, func(n ast.Node) bool {
			switch x := n.(type) {
			case *ast.CallExpr: // m.finding(FindingStall, subject, sev3)
				if s, ok := x.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "finding" && len(x.Args) == 3 {
					say(x.Args[0], x.Args[2])
				}
			case *ast.CompositeLit: // chain.Finding{Kind: KindFork, Severity: "SEV5"}
				var kind, severity ast.Expr
				for _, e := range x.Elts {
					if kv, ok := e.(*ast.KeyValueExpr); ok {
						switch k, _ := kv.Key.(*ast.Ident); {
						case k == nil:
						case k.Name == "Kind":
							kind = kv.Value
						case k.Name == "Severity":
							severity = kv.Value
						}
					}
				}
				if kind != nil && severity != nil {
					say(kind, severity)
				}
			}
			return true
		})
	}
}

// text is a string literal's value; "" = it is none.
func text(e ast.Expr) string {
	b, ok := e.(*ast.BasicLit)
	if !ok || b.Kind != token.STRING {
		return ""
	}
	s, _ := strconv.Unquote(b.Value)
	return s
}

// TestFindingsAreDescribed: docs/findings.md has one row for every kind of finding there is, and none for others, and names every severity that
// the sources let a kind begin with.
func TestFindingsAreDescribed(t *testing.T) {
	all := map[string]*found{}
	findings(t, "internal/chain", "Finding", all)
	findings(t, "internal/detect", "Kind", all)
	findings(t, "internal/detection", "Kind", all)
	raw, err := os.ReadFile(filepath.Join("..", "..", "docs", "findings.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| [^|]+ \\| ([^|]+) \\| [^|]+ \\|$").FindAllStringSubmatch(string(raw), -1) {
		if _, twice := rows[m[1]]; twice {
			t.Errorf("docs/findings.md has two rows for %s", m[1])
		}
		rows[m[1]] = m[2]
	}
	for _, kind := range slices.Sorted(maps.Keys(all)) {
		row, ok := rows[kind]
		if !ok {
			t.Errorf("docs/findings.md says nothing of %s: add a row with what it means, its severity, and who finds it", kind)
			continue
		}
		for _, s := range slices.Sorted(maps.Keys(all[kind].severities)) {
			if !strings.Contains(row, s) {
				t.Errorf("docs/findings.md: %s begins as %s, and the row says %q", kind, s, row)
			}
		}
		delete(rows, kind)
	}
	for _, kind := range slices.Sorted(maps.Keys(rows)) {
		t.Errorf("docs/findings.md describes %s, which nothing finds", kind)
	}
	if len(all) < 50 {
		t.Errorf("only %d kinds were read from the sources", len(all))
	}
}
