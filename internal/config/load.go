package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

const (
	fileMost   = 1 << 20  // bytes of a configuration file
	secretMost = 64 << 10 // bytes of a file that holds a secret
)

// Problem is one thing that is wrong, with where and with the remedy.
type Problem struct {
	Where string // "tocsin.yaml:12: chains[0].family" or "TOCSIN_ADDR"
	What  string // ends with the remedy
}

// Error joins where and what.
func (p Problem) Error() string {
	if p.Where == "" {
		return p.What
	}
	return p.Where + ": " + p.What
}

// Problems are all the things that are wrong, so that they are mended in one go.
type Problems []Problem

// Error is one line for each.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

func (p Problems) orNil() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

// Load reads the file at path (none when path is empty, unless TOCSIN_CONFIG
// names one), then the TOCSIN_ variables of environ ("KEY=value", as from
// os.Environ), then the files that hold secrets, and validates. Paths inside the
// file are relative to its directory. The error is Problems.
func Load(path string, environ []string) (Config, error) {
	env := map[string]string{}
	for _, line := range environ {
		if k, v, ok := strings.Cut(line, "="); ok && strings.HasPrefix(k, prefix) {
			env[k] = v
		}
	}
	if path == "" {
		path = env[fileVariable]
	}
	c, dir := Default(), ""
	if path != "" {
		raw, err := readFile(path, fileMost)
		if err != nil {
			return c, Problems{{"", err.Error()}}
		}
		dir = filepath.Dir(path)
		if c, err = Parse(filepath.Base(path), raw); err != nil {
			return c, err
		}
	}
	problems := c.applyEnvironment(env)
	problems = append(problems, c.readSecrets(dir)...)
	c.resolve(dir, env)
	if len(problems) > 0 {
		return c, problems
	}
	return c, c.Validate()
}

// Parse reads the text of a configuration file over the defaults. It neither
// reads the files that hold secrets nor validates. name is for errors, which
// are Problems.
func Parse(name string, raw []byte) (Config, error) {
	c := Default()
	c.file, c.lines = name, map[string]int{}
	var document, second yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(raw))
	if err := d.Decode(&document); err != nil && err != io.EOF {
		return c, Problems{{name, strings.TrimPrefix(err.Error(), "yaml: ") + "; mend the YAML there (indent with spaces, quote text that holds : or #)"}}
	}
	if len(document.Content) == 0 {
		return c, nil
	}
	if err := d.Decode(&second); err != io.EOF {
		return c, Problems{{name, "holds more than one document; remove the line --- and put everything into one"}}
	}
	f := filler{file: name, lines: c.lines}
	f.fill(document.Content[0], reflect.ValueOf(&c).Elem(), "")
	return c, f.problems.orNil()
}

// readFile reads at most so many bytes, and says how to mend what fails.
func readFile(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		reason := "cannot be read"
		var pe *fs.PathError
		if errors.As(err, &pe) {
			reason = pe.Err.Error()
		}
		return nil, fmt.Errorf("%s: %s; check the path and the rights of the file", path, reason)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, fmt.Errorf("%s: cannot be read; name a file, not a directory", path)
	}
	if int64(len(raw)) > most {
		return nil, fmt.Errorf("%s: is longer than %d bytes; check that it is the right file", path, most)
	}
	if !utf8.Valid(raw) {
		return nil, fmt.Errorf("%s: is not UTF-8 text; check that it is the right file", path)
	}
	return raw, nil
}

// readSecrets reads every *_file next to its secret.
func (c *Config) readSecrets(dir string) (problems Problems) {
	one := func(path, key string, secret *Secret, file string) {
		if file == "" {
			return
		}
		where := c.at(path + key + "_file")
		if !secret.Empty() {
			problems = append(problems, Problem{where, fmt.Sprintf("%s is set as well; keep one of the two", key)})
			return
		}
		if !filepath.IsAbs(file) {
			file = filepath.Join(dir, file)
		}
		raw, err := readFile(file, secretMost)
		if err != nil {
			problems = append(problems, Problem{where, err.Error()})
			return
		}
		text := strings.TrimRight(string(raw), "\r\n")
		if text == "" {
			problems = append(problems, Problem{where, file + " is empty; write the secret into it"})
			return
		}
		*secret = NewSecret(text)
	}
	one("", "bootstrap_token", &c.BootstrapToken, c.BootstrapTokenFile)
	for i := range c.Chains {
		for j := range c.Chains[i].Nodes {
			n := &c.Chains[i].Nodes[j]
			one(fmt.Sprintf("chains[%d].nodes[%d].", i, j), "password", &n.Password, n.PasswordFile)
		}
	}
	for i := range c.Sources {
		one(fmt.Sprintf("sources[%d].", i), "key", &c.Sources[i].Key, c.Sources[i].KeyFile)
	}
	c.Notify.secrets(one)
	return problems
}

// at says where a setting is: file, line and path as far as they are known. A
// setting that is not written is looked for in what it belongs to.
func (c *Config) at(path string) string {
	for p := path; p != "" && c.file != ""; {
		if line, ok := c.lines[p]; ok {
			return fmt.Sprintf("%s:%d: %s", c.file, line, path)
		}
		cut := strings.LastIndexAny(p, ".[")
		p = p[:max(cut, 0)]
	}
	return path
}

const prefix = "TOCSIN_"

// fileVariable names the configuration file itself.
const fileVariable = prefix + "CONFIG"

// applyEnvironment sets what the environment sets. An empty variable counts as
// not set. A TOCSIN_ variable that is no setting is left to other programs.
func (c *Config) applyEnvironment(env map[string]string) (problems Problems) {
	for name, v := range variables(reflect.ValueOf(c).Elem(), prefix) {
		text := env[name]
		if text == "" {
			continue
		}
		// A secret in the environment replaces one in a file, and the reverse.
		switch name {
		case prefix + "BOOTSTRAP_TOKEN":
			c.BootstrapTokenFile = ""
		case prefix + "BOOTSTRAP_TOKEN_FILE":
			c.BootstrapToken = Secret{}
			if env[prefix+"BOOTSTRAP_TOKEN"] != "" {
				problems = append(problems, Problem{name, prefix + "BOOTSTRAP_TOKEN is set as well; keep one of the two"})
				continue
			}
			if abs, err := filepath.Abs(text); err == nil {
				text = abs // relative to where the process runs, not to the file
			}
		}
		if v.Kind() == reflect.Slice {
			v.Set(reflect.ValueOf(strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })))
			continue
		}
		if err := setScalar(v, text); err != nil {
			problems = append(problems, Problem{name, err.Error()})
		}
	}
	slices.SortFunc(problems, func(a, b Problem) int { return strings.Compare(a.Where, b.Where) })
	return problems
}

// ofVerify are variables that other subcommands than serve read.
var ofVerify = map[string]bool{"TOCSIN_TOKEN": true, "TOCSIN_SERVER": true, "TOCSIN_VERIFY_STATE": true}

// Strays returns the TOCSIN_ variables of environ that are no setting, each with
// the nearest one: worth a warning, since a misspelt variable is silent.
func Strays(environ []string) (notes []string) {
	var c Config
	known := variables(reflect.ValueOf(&c).Elem(), prefix)
	var names []string
	for name := range known {
		names = append(names, name)
	}
	for _, line := range environ {
		name, _, _ := strings.Cut(line, "=")
		if _, ok := known[name]; ok || !strings.HasPrefix(name, prefix) || name == fileVariable || ofVerify[name] {
			continue
		}
		note := name + " is no setting and is ignored"
		if near := nearest(name, names); near != "" {
			note += "; do you mean " + near + "?"
		}
		notes = append(notes, note)
	}
	slices.Sort(notes)
	return notes
}
