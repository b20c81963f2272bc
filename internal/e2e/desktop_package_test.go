package e2e

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"errors"
	"fmt"
	"image/png"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// packed runs packaging/linux/pack.sh on the programs of this test and returns
// the folder that it fills.
func packed(t *testing.T, env ...string) string {
	t.Helper()
	bin, dist := t.TempDir(), filepath.Join(t.TempDir(), "dist")
	said(t, nil, "strip", "-o", filepath.Join(bin, "tocsin"), product) // as it is shipped: packing what debuggers want takes long
	must(t, os.Symlink(desktopProgram(t), filepath.Join(bin, "tocsin-desktop")))
	said(t, append(env, "VERSION=v1.2.3-rc1", "SOURCE_DATE_EPOCH=1795000000", "LEVEL=0", "BIN="+bin, "DIST="+dist), "bash", filepath.Join(root, "packaging/linux/pack.sh"))
	return dist
}

// said runs a program that must succeed and returns what it printed.
func said(t testing.TB, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// files are the paths of what is no folder below dir.
func files(t *testing.T, dir string) (out []string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			out = append(out, rel)
		}
		if errors.Is(err, fs.ErrNotExist) { // a program that runs cleans up behind itself
			return nil
		}
		return err
	}))
	return out
}

// TestDesktopPackages: the same programs give the same packages; they install,
// are complete, name what they need, and go away without a trace.
func TestDesktopPackages(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Fatal("packages for Linux are made on Linux")
	}
	dist, again := packed(t, "TZ=UTC"), packed(t, "TZ=Asia/Tokyo", "LANG=en_US.UTF-8")
	sums, err := os.ReadFile(filepath.Join(dist, "SHA256SUMS"))
	must(t, err)
	if other, _ := os.ReadFile(filepath.Join(again, "SHA256SUMS")); !bytes.Equal(sums, other) {
		t.Errorf("two runs give different packages:\n%s\n%s", sums, other)
	}
	check := exec.Command("sha256sum", "--check", "--strict", "SHA256SUMS")
	check.Dir = dist
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("sha256sum: %v\n%s", err, out)
	}
	want := []string{"SHA256SUMS", "tocsin-desktop-v1.2.3-rc1-linux-" + runtime.GOARCH + ".tar.gz", "tocsin-server_1.2.3~rc1_" + runtime.GOARCH + ".deb", "tocsin-v1.2.3-rc1-linux-" + runtime.GOARCH + ".tar.gz", "tocsin_1.2.3~rc1_" + runtime.GOARCH + ".deb"}
	if got := files(t, dist); !slices.Equal(got, want) {
		t.Fatalf("dist has %v, want %v", got, want)
	}
	debs := []string{filepath.Join(dist, want[4]), filepath.Join(dist, want[2])}

	// Installed into a system of their own, and removed from it.
	sys := t.TempDir()
	db := filepath.Join(sys, "var/lib/dpkg")
	for _, d := range []string{"info", "updates", "triggers"} {
		must(t, os.MkdirAll(filepath.Join(db, d), 0o755))
	}
	must(t, os.WriteFile(filepath.Join(db, "status"), nil, 0o644))
	dpkg := func(args ...string) string {
		return said(t, nil, "dpkg", append([]string{"--root=" + sys, "--force-not-root", "--force-depends", "--force-bad-path", "--log=/dev/null"}, args...)...)
	}
	dpkg(append([]string{"--install"}, debs...)...)
	if out := dpkg("--verify", "tocsin", "tocsin-server"); out != "" {
		t.Errorf("dpkg --verify: %s", out)
	}
	for _, deb := range debs {
		looksLikeDebian(t, deb, sys)
	}
	desktopEntry(t, filepath.Join(sys, "usr/share"), "tocsin-desktop")
	if out := said(t, nil, filepath.Join(sys, "usr/bin/tocsin"), "version"); out == "" {
		t.Error("the installed tocsin has no version")
	}
	dpkg("--purge", "tocsin", "tocsin-server")
	for _, f := range files(t, sys) {
		if !strings.HasPrefix(f, "var/lib/dpkg/") {
			t.Errorf("purged, but %s is still there", f)
		}
	}

	// For one person, from the tarball; the home has what a shell trips over.
	place := filepath.Join(t.TempDir(), "a home with $PATH & 100%")
	must(t, os.MkdirAll(filepath.Join(place, ".config/tocsin"), 0o700))
	must(t, os.WriteFile(filepath.Join(place, ".config/tocsin/desk.json"), []byte("{}"), 0o600))
	before := files(t, place)
	said(t, nil, "tar", "-C", filepath.Dir(place), "-xzf", filepath.Join(dist, want[1]))
	app := filepath.Join(filepath.Dir(place), strings.TrimSuffix(want[1], ".tar.gz"))
	home := []string{"HOME=" + place, "XDG_DATA_HOME=", "XDG_CONFIG_HOME=", "XDG_RUNTIME_DIR="}
	for range 2 { // over itself, as a new version is
		said(t, home, filepath.Join(app, "install.sh"))
	}
	program := filepath.Join(place, ".local/bin/tocsin-desktop")
	desktopEntry(t, filepath.Join(place, ".local/share"), program)
	if a, b := fileSum(t, program), fileSum(t, desktopProgram(t)); a != b {
		t.Error("what was installed is another program")
	}
	said(t, home, filepath.Join(place, ".local/share/tocsin-desktop/uninstall.sh"))
	left := slices.DeleteFunc(files(t, place), func(f string) bool {
		return filepath.Base(f) == "mimeinfo.cache" || filepath.Base(f) == "mimeapps.list" || filepath.Base(f) == "icon-theme.cache" // other programs write and keep these
	})
	if !slices.Equal(left, before) {
		t.Errorf("after uninstall.sh: %v, want %v", left, before)
	}

	// A system without WebKitGTK is told what to install.
	ldd := filepath.Join(t.TempDir(), "ldd")
	must(t, os.WriteFile(ldd, []byte("#!/bin/sh\necho '	libwebkit2gtk-4.1.so.0 => not found'\n"), 0o755))
	cmd := exec.Command(filepath.Join(app, "AppRun"))
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(ldd)+":"+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "libwebkit2gtk-4.1.so.0") || !strings.Contains(string(out), "Fedora") {
		t.Errorf("without WebKitGTK AppRun says %s (%v)", out, err)
	}
}

func fileSum(t *testing.T, path string) string {
	t.Helper()
	return strings.Fields(said(t, nil, "sha256sum", path))[0]
}

// looksLikeDebian checks what Debian asks of a package that matters to people:
// owners and modes, the papers, and that Depends names every library.
func looksLikeDebian(t *testing.T, deb, sys string) {
	t.Helper()
	field := func(name string) string { return strings.TrimSpace(said(t, nil, "dpkg-deb", "--field", deb, name)) }
	name := field("Package")
	said(t, nil, "dpkg", "--validate-version", field("Version"))
	for _, f := range []string{"Maintainer", "Description", "Section", "Priority", "Installed-Size", "Architecture", "Depends"} {
		if field(f) == "" {
			t.Errorf("%s has no field %s", name, f)
		}
	}
	program := ""
	for _, l := range strings.Split(strings.TrimSpace(said(t, nil, "dpkg-deb", "--contents", deb)), "\n") {
		w := strings.Fields(l) // mode owner size date time path
		mode, path := w[0], strings.TrimPrefix(w[5], "./")
		switch {
		case w[1] != "root/root":
			t.Errorf("%s: %s belongs to %s", name, path, w[1])
		case strings.HasPrefix(path, "usr/bin/") && mode[0] == '-':
			program = filepath.Join(sys, path)
			if mode != "-rwxr-xr-x" {
				t.Errorf("%s: %s has the mode %s", name, path, mode)
			}
		case mode != "drwxr-xr-x" && mode != "-rw-r--r--":
			t.Errorf("%s: %s has the mode %s", name, path, mode)
		case mode[0] == '-' && !regexp.MustCompile(`^(usr/share/(applications|doc|icons|man)/|lib/systemd/system/)`).MatchString(path):
			t.Errorf("%s: nobody looks for %s", name, path)
		}
	}
	doc := filepath.Join(sys, "usr/share/doc", name)
	if b, err := os.ReadFile(filepath.Join(doc, "copyright")); err != nil || !bytes.Contains(b, []byte("License: Apache-2.0")) {
		t.Errorf("%s: copyright: %v %s", name, err, b)
	}
	changes := unzipped(t, filepath.Join(doc, "changelog.gz"))
	if !strings.HasPrefix(changes, name+" ("+field("Version")+") unstable; urgency=medium\n\n  * ") || !regexp.MustCompile(`\n -- The Tocsin authors <\S+>  \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000\n$`).MatchString(changes) {
		t.Errorf("%s: changelog: %s", name, cut(changes, "", 400))
	}
	if name == "tocsin" && !strings.Contains(unzipped(t, filepath.Join(sys, "usr/share/man/man1/tocsin-desktop.1.gz")), ".SH SYNOPSIS") {
		t.Error("the window has no manual page")
	}

	// Every library comes from a package that it depends on.
	bin, err := elf.Open(program)
	must(t, err)
	defer bin.Close()
	libs, err := bin.ImportedLibraries()
	must(t, err)
	for _, lib := range libs {
		owner, _, _ := strings.Cut(said(t, nil, "dpkg", "--search", "*/"+lib), ":")
		owner = strings.TrimSuffix(owner, "t64") // of 64-bit times; the old name is provided
		if !regexp.MustCompile(`(^|, )` + regexp.QuoteMeta(owner) + `( |,|$)`).MatchString(field("Depends")) {
			t.Errorf("%s needs %s of %s, and depends on %s", name, lib, owner, field("Depends"))
		}
	}
	symbols, err := bin.ImportedSymbols()
	must(t, err)
	least := regexp.MustCompile(`libc6 \(>= ([0-9.]+)\)`).FindStringSubmatch(field("Depends"))
	for _, s := range symbols {
		if v, ok := strings.CutPrefix(s.Version, "GLIBC_"); ok && (least == nil || exec.Command("dpkg", "--compare-versions", v, "le", least[1]).Run() != nil) {
			t.Errorf("%s needs %s of glibc %s, and depends on %s", name, s.Name, v, field("Depends"))
		}
	}
}

func unzipped(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	must(t, err)
	b, err := io.ReadAll(z)
	must(t, err)
	return string(b)
}

// desktopEntry checks the entry of the menu and its icons below share: it is
// valid, starts program, and opens tocsin:// links.
func desktopEntry(t *testing.T, share, program string) {
	t.Helper()
	path := filepath.Join(share, "applications/tocsin.desktop")
	said(t, nil, "desktop-file-validate", "--no-warn-deprecated", path)
	b, err := os.ReadFile(path)
	must(t, err)
	entry := string(b)
	wanted := program + " %u"
	if strings.Contains(program, "/") {
		wanted = `"` + strings.NewReplacer(`$`, `\\$`, `%`, `%%`).Replace(program) + `" %u`
	}
	if exec := regexp.MustCompile(`(?m)^Exec=(.*)$`).FindStringSubmatch(entry); exec == nil || exec[1] != wanted {
		t.Errorf("the entry starts %v, want %s", exec, wanted)
	}
	if !strings.Contains(entry, "\nMimeType=x-scheme-handler/tocsin;\n") || !strings.Contains(entry, "\nIcon=tocsin\n") {
		t.Errorf("the entry is %s", entry)
	}
	for _, size := range []int{16, 22, 24, 32, 48, 64, 128, 256, 512} {
		f, err := os.Open(filepath.Join(share, fmt.Sprintf("icons/hicolor/%dx%d/apps/tocsin.png", size, size)))
		must(t, err)
		img, err := png.Decode(f)
		f.Close()
		must(t, err)
		middle, corner := img.At(size/2, size/2), img.At(0, 0)
		if _, _, _, a := corner.RGBA(); img.Bounds().Dx() != size || img.Bounds().Dy() != size || a > 0xf000 || middle == corner {
			t.Errorf("the icon of %d pixels is %v, %v in the middle and %v in the corner", size, img.Bounds(), middle, corner)
		}
	}
	if _, err := os.Stat(filepath.Join(share, "icons/hicolor/scalable/apps/tocsin.svg")); err != nil {
		t.Error(err)
	}
}
