package native_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tocsin-ops/tocsin/desktop/native"
)

func TestAutostartStartsTheProgram(t *testing.T) {
	home := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", home)
	ran := filepath.Join(home, "ran")
	program := filepath.Join(home, `odd "name" $HOME 100%`, "tocsin-desktop")
	if err := os.MkdirAll(filepath.Dir(program), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, []byte("#!/bin/sh\nprintf '%s\\n' \"$@\" > '"+ran+"'\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	p := native.Program{Name: "Tocsin", Entry: "tocsin", Path: program, Args: []string{"--kiosk", `a b\c`}}
	if err := native.Autostart(true, p); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(home, "autostart", "tocsin.desktop")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// The shell reads quotes as the specification does; what the file adds is taken away as a reader of entries does.
	_, line, _ := strings.Cut(string(text), "\nExec=")
	line, _, _ = strings.Cut(line, "\n")
	command := strings.NewReplacer(`\\`, `\`, `%%`, `%`).Replace(line)
	if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", command, err, out)
	}
	if got, err := os.ReadFile(ran); err != nil || string(got) != "--kiosk\na b\\c\n" {
		t.Errorf("started with %q %v", got, err)
	}
	for range 2 { // twice is no error
		if err := native.Autostart(false, p); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("still there: %v", err)
	}
}
