// Package arch keeps the walls of the house: it holds only tests, and each rule
// says in its failure why it exists.
package arch

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const module = "github.com/tocsin-ops/tocsin"

type pkg struct {
	ImportPath, Name, Dir string
	GoFiles               []string
	Imports, Deps         []string
}

// short is the path below the module: "internal/room".
func (p pkg) short() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Name,Dir,GoFiles,Imports,Deps", "./...")
	cmd.Dir = root(t)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for dec.More() {
		var p pkg
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 10 {
		t.Fatalf("go list found only %d packages; the rules would prove nothing", len(all))
	}
	return all
}

func root(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(strings.TrimSpace(string(out)))
}

// pure are the packages that must give the same output for the same input, for
// ever: replay, golden scripts and replicas depend on it.
var pure = map[string]bool{
	"internal/attention": true, "internal/incident": true, "internal/signal": true, "internal/chain": true, "internal/detect": true,
	"internal/detect/series": true, "internal/observation": true, "internal/wallet": true, "internal/feedback": true, "internal/forecast": true,
	"internal/maintenance": true, "internal/grouping": true, "internal/heartbeat": true,
	"internal/quorum": true, "internal/playbook": true, "internal/impact": true, "internal/oncall": true,
	"internal/escalation": true, "internal/precedent": true, "internal/regulatory": true, "internal/review": true, "internal/drill": true,
}

func TestPurePackagesTouchNothing(t *testing.T) {
	forbidden := map[string]string{
		"os": "files and environment", "net": "the network", "net/http": "the network", "math/rand": "chance",
		"math/rand/v2": "chance", "crypto/rand": "chance", "sync": "shared state", "log/slog": "output", "database/sql": "a database",
	}
	for _, p := range packages(t) {
		if !pure[p.short()] {
			continue
		}
		for _, imp := range p.Imports {
			if why, bad := forbidden[imp]; bad {
				t.Errorf("%s imports %s (%s): a pure package gets time, ids and data as arguments, so that replay is exact", p.short(), imp, why)
			}
			if strings.HasPrefix(imp, module) && !pure[strings.TrimPrefix(imp, module+"/")] {
				t.Errorf("%s imports %s, which is not pure", p.short(), imp)
			}
			if !strings.HasPrefix(imp, module) && strings.Contains(strings.Split(imp, "/")[0], ".") {
				t.Errorf("%s imports %s: pure packages use only the standard library", p.short(), imp)
			}
		}
		eachFile(t, p, func(name string, fset *token.FileSet, f *ast.File) {
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.GoStmt:
					t.Errorf("%s: go statement in a pure package", fset.Position(n.Pos()))
				case *ast.SelectorExpr:
					if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && (n.Sel.Name == "Now" || n.Sel.Name == "Since" || n.Sel.Name == "Sleep" || n.Sel.Name == "After") {
						t.Errorf("%s: time.%s in a pure package; time arrives as an argument", fset.Position(n.Pos()), n.Sel.Name)
					}
				}
				return true
			})
		})
	}
}

// walls: a library or room (left) may be imported only by the rooms on the right.
var walls = []struct {
	imports string
	only    []string
	why     string
}{
	{"go.etcd.io/bbolt", []string{"store/bolt"}, "the engine must stay exchangeable"},
	{"go.etcd.io/etcd", []string{"store/etcd"}, "the engine must stay exchangeable, and the desktop must not link it"},
	{"gocloud.dev", []string{"store/blob"}, "the place of blobs must stay exchangeable"},
	{"github.com/labstack/echo/v4", []string{"web"}, "HTTP belongs to web"},
	{"github.com/gorilla/websocket", []string{"hub/ws", "internal/remote"}, "the hub must not know its transport; remote is the other end of the wire, and answers in the place of a server that is away"},
	{"github.com/wailsapp/wails", []string{"desktop"}, "the server must build without a desktop"},
	{"github.com/prometheus/prometheus", []string{"internal/metrics"}, "the sample store must stay exchangeable"},
	{"github.com/go-webauthn/webauthn", []string{"internal/auth"}, "who somebody is is decided in one place"},
	{"github.com/a-h/templ", []string{"views", "web", "internal/desk"}, "HTML is written in views"},
	{module + "/views", []string{"web", "views", "internal/desk"}, "only web presents, and desk its own few pages"},
	{module + "/web", []string{"internal/app"}, "only app composes"},
	{module + "/internal/app", []string{"cmd/tocsin", "desktop", "internal/desk"}, "app is the composition, nothing builds on it"},
}

func TestWalls(t *testing.T) {
	for _, p := range packages(t) {
		for _, imp := range p.Imports {
			for _, w := range walls {
				if imp != w.imports && !strings.HasPrefix(imp, w.imports+"/") {
					continue
				}
				if !within(p.short(), w.only) {
					t.Errorf("%s imports %s: only %v may, because %s", p.short(), imp, w.only, w.why)
				}
			}
			if top := strings.Split(p.short(), "/")[0]; (top == "hub" || top == "views") && strings.HasPrefix(imp, module) && !strings.HasPrefix(imp, module+"/"+top) {
				t.Errorf("%s imports %s: %s imports nothing of ours, so that it can be reasoned about alone", p.short(), imp, top)
			}
		}
	}
}

// What a program links is more than what its packages import.
func TestEngineOfReplicasIsInjected(t *testing.T) {
	all := map[string]pkg{}
	for _, p := range packages(t) {
		all[p.short()] = p
	}
	for _, room := range []string{"desktop", "internal/app", "internal/eventlog", "internal/room"} {
		if len(all[room].Deps) == 0 {
			t.Errorf("there is no %s; the rule would prove nothing", room)
		}
		for _, dep := range all[room].Deps {
			if strings.HasPrefix(dep, "go.etcd.io/etcd/") || dep == module+"/store/etcd" {
				t.Errorf("%s links %s: only cmd/tocsin chooses etcd and hands the opener on, so that the desktop stays small", room, dep)
			}
		}
	}
	linked := false
	for _, dep := range all["cmd/tocsin"].Deps {
		linked = linked || dep == module+"/store/etcd"
	}
	if !linked {
		t.Error("cmd/tocsin does not link store/etcd: serve --store etcd:// cannot work")
	}
}

func within(path string, rooms []string) bool {
	for _, r := range rooms {
		// A command beneath a room, such as its gallery, belongs to the room; so does a file of its own.
		if path == r || strings.HasPrefix(path, r+"/") {
			return true
		}
	}
	return false
}

func TestOnlyRoomAppendsToIncidents(t *testing.T) {
	name := regexp.MustCompile(`"incident/"`)
	for _, p := range packages(t) {
		if p.short() == "internal/room" {
			continue
		}
		for _, f := range p.GoFiles {
			if !strings.HasPrefix(p.short(), "internal/") {
				continue
			}
			src, err := os.ReadFile(filepath.Join(p.Dir, f))
			if err != nil {
				t.Fatal(err)
			}
			if name.Match(src) {
				t.Errorf("%s/%s builds the name of an incident's stream: only room writes incidents, use room.Stream and room.Number", p.short(), f)
			}
		}
	}
}

func TestEveryPackageHasOneComment(t *testing.T) {
	for _, p := range packages(t) {
		if p.Name == "main" && strings.Contains(p.short(), "gallery") {
			continue
		}
		var with []string
		eachFile(t, p, func(name string, _ *token.FileSet, f *ast.File) {
			if f.Doc != nil && (strings.HasPrefix(f.Doc.Text(), "Package "+p.Name+" ") || p.Name == "main") {
				with = append(with, name)
			}
		})
		if len(p.GoFiles) > 0 && len(with) != 1 {
			t.Errorf("%s has %d package comments %v, want one that says what it owns and what it never does", p.short(), len(with), with)
		}
	}
}

func TestNamesSayWhatThingsAre(t *testing.T) {
	vague := regexp.MustCompile(`(Manager|Helper|Util|Utils|Data|Info)$`)
	for _, p := range packages(t) {
		for _, part := range strings.Split(p.short(), "/") {
			switch part {
			case "pkg", "utils", "util", "common", "models", "types", "helpers":
				t.Errorf("package %s is named after nothing", p.short())
			}
		}
		eachFile(t, p, func(name string, fset *token.FileSet, f *ast.File) {
			for _, d := range f.Decls {
				switch d := d.(type) {
				case *ast.FuncDecl:
					if d.Name.IsExported() && vague.MatchString(d.Name.Name) && d.Recv == nil {
						t.Errorf("%s: %s says nothing about what it is", fset.Position(d.Pos()), d.Name.Name)
					}
				case *ast.GenDecl:
					for _, s := range d.Specs {
						if ts, ok := s.(*ast.TypeSpec); ok && ts.Name.IsExported() && vague.MatchString(ts.Name.Name) {
							t.Errorf("%s: %s says nothing about what it is", fset.Position(ts.Pos()), ts.Name.Name)
						}
					}
				}
			}
		})
	}
}

func TestFilesStaySmall(t *testing.T) {
	const limit = 20 << 10
	base := root(t)
	err := filepath.WalkDir(base, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch d.Name() {
			case ".git", "node_modules", "dist", "testdata", "bin", "data", ".cache":
				return filepath.SkipDir
			}
			return nil
		}
		switch filepath.Ext(path) {
		case ".go", ".templ", ".js", ".css":
		default:
			return nil
		}
		if strings.HasSuffix(path, "_templ.go") {
			return nil
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		if st.Size() > limit {
			rel, _ := filepath.Rel(base, path)
			t.Errorf("%s has %d bytes, over %d: rooms grow out of their walls, split it by noun", rel, st.Size(), limit)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func eachFile(t *testing.T, p pkg, visit func(name string, fset *token.FileSet, f *ast.File)) {
	t.Helper()
	for _, name := range p.GoFiles {
		if strings.HasSuffix(name, "_templ.go") {
			continue
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		visit(name, fset, f)
	}
}
