package config

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// settable is a value with a spelling of its own.
type settable interface{ set(text string) error }

// visitsMost bounds the work for a file with aliases of aliases.
const visitsMost = 100_000

// filler decodes a YAML tree into a struct. It is strict: unknown keys, double
// keys and wrong shapes are problems, each with its line.
type filler struct {
	file     string
	lines    map[string]int
	problems Problems
	visits   int
}

func (f *filler) problem(n *yaml.Node, path, format string, args ...any) {
	where := fmt.Sprintf("%s:%d", f.file, n.Line)
	if path != "" {
		where += ": " + path
	}
	f.problems = append(f.problems, Problem{where, fmt.Sprintf(format, args...)})
}

func (f *filler) fill(n *yaml.Node, v reflect.Value, path string) {
	if f.visits++; f.visits > visitsMost {
		if f.visits == visitsMost+1 {
			f.problem(n, path, "the file has too many settings; write it without aliases")
		}
		return
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	f.lines[path] = n.Line
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		return // "chains:" with nothing below is nothing set
	}
	if _, ok := v.Addr().Interface().(settable); ok || v.Kind() == reflect.String || v.Kind() == reflect.Int || v.Kind() == reflect.Float64 {
		if n.Kind != yaml.ScalarNode {
			f.problem(n, path, "takes one value, not a list or a block; write it on one line")
			return
		}
		if err := setScalar(v, n.Value); err != nil {
			f.problem(n, path, "%s", err)
		}
		return
	}
	switch v.Kind() {
	case reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			f.problem(n, path, "takes a list; begin each entry with a dash")
			return
		}
		list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
		for i, entry := range n.Content {
			f.fill(entry, list.Index(i), fmt.Sprintf("%s[%d]", path, i))
		}
		v.Set(list)
	case reflect.Struct:
		f.fillStruct(n, v, path)
	case reflect.Map:
		f.fillMap(n, v, path)
	default:
		panic("config: a field of kind " + v.Kind().String() + " has no spelling")
	}
}

func (f *filler) fillStruct(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		f.problem(n, path, "takes settings like name: value; write them one a line")
		return
	}
	fields := map[string]reflect.Value{}
	var names []string
	for i := range v.NumField() {
		if name := v.Type().Field(i).Tag.Get("yaml"); name != "" {
			fields[name], names = v.Field(i), append(names, name)
		}
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		name := key.Value
		field, ok := fields[name]
		if !ok {
			remedy := "remove it; the settings here are " + strings.Join(names, ", ")
			if near := nearest(name, names); near != "" {
				remedy = "write " + near
			}
			f.problem(key, path, "there is no setting %q; %s", name, remedy)
			continue
		}
		if line, double := seen[name]; double {
			f.problem(key, path, "%s is set already on line %d; keep one of the two", name, line)
			continue
		}
		seen[name] = key.Line
		deeper := name
		if path != "" {
			deeper = path + "." + name
		}
		f.fill(value, field, deeper)
	}
}

// fillMap reads names and values, both text.
func (f *filler) fillMap(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		f.problem(n, path, "takes names and values like team: payments; write them one a line")
		return
	}
	all := reflect.MakeMap(v.Type())
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if f.visits++; key.Kind != yaml.ScalarNode || value.Kind != yaml.ScalarNode || f.visits > visitsMost {
			f.problem(key, path, "takes one value for each name; write it on one line")
			continue
		}
		if all.MapIndex(reflect.ValueOf(key.Value)).IsValid() {
			f.problem(key, path, "%s is set twice; keep one of the two", key.Value)
			continue
		}
		f.lines[path+"."+key.Value] = key.Line
		all.SetMapIndex(reflect.ValueOf(key.Value), reflect.ValueOf(value.Value))
	}
	v.Set(all)
}

// setScalar sets a field that has one value.
func setScalar(v reflect.Value, text string) error {
	if s, ok := v.Addr().Interface().(settable); ok {
		if err := s.set(text); err != nil {
			return fmt.Errorf("%q %w", text, err)
		}
		return nil
	}
	if v.Kind() == reflect.Float64 {
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("%q is not a number; write it like 0.25", text)
		}
		v.SetFloat(n)
		return nil
	}
	if v.Kind() == reflect.Int {
		n, err := strconv.Atoi(text)
		if err != nil {
			return errors.New(strconv.Quote(text) + " is not a whole number; write digits only")
		}
		v.SetInt(int64(n))
		return nil
	}
	v.SetString(text)
	return nil
}

// variables lists the environment variables of a struct: every setting that is
// not inside a list, and lists of plain text.
func variables(v reflect.Value, before string) map[string]reflect.Value {
	all := map[string]reflect.Value{}
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag.Get("yaml")
		if tag == "" {
			continue
		}
		name, field := before+strings.ToUpper(tag), v.Field(i)
		_, isValue := field.Addr().Interface().(settable)
		switch {
		case isValue || field.Kind() == reflect.String || field.Kind() == reflect.Int || field.Kind() == reflect.Float64:
			all[name] = field
		case field.Kind() == reflect.Slice && field.Type().Elem().Kind() == reflect.String:
			all[name] = field
		case field.Kind() == reflect.Struct:
			for n, f := range variables(field, name+"_") {
				all[n] = f
			}
		}
	}
	return all
}

// nearest returns the known name that word most likely means, or "".
func nearest(word string, known []string) string {
	best, least := "", max(2, len(word)/3)+1
	for _, k := range known {
		if len(k) > 2 && strings.HasPrefix(word, k) || len(word) > 2 && strings.HasPrefix(k, word) {
			return k
		}
		d := distance(strings.ToLower(word), strings.ToLower(k))
		// Of two as near, the one that begins alike is meant, whatever order they come in.
		if d < least || d == least && best != "" && (alike(word, k) > alike(word, best) || alike(word, k) == alike(word, best) && k < best) {
			best, least = k, d
		}
	}
	return best
}

// alike is how many letters two words have in common from the first on.
func alike(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && strings.EqualFold(a[n:n+1], b[n:n+1]) {
		n++
	}
	return n
}

// distance is Levenshtein's, on bytes; words longer than 64 are far from all.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal, row[j] = row[j], min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
