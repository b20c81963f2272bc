package intake

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/types"
	"github.com/expr-lang/expr/vm"

	"github.com/tocsin-ops/tocsin/internal/signal"
)

// Mapping says how the JSON of a source becomes signals: one expression a field
// (expr-lang.org). In an expression body is the whole delivery and item the part
// that is one signal; the members of item are there by their own names, too.
type Mapping struct {
	// List gives the items of a delivery; "" means that the body is one item, or
	// a list of them.
	List string `json:"list,omitempty"`
	// Fields are expressions by the name of the field; see MappedFields.
	Fields map[string]string `json:"fields"`
}

// MappedFields are the fields that a mapping may give, in the order in which
// pages show them. A field without an expression is taken from the item as it
// stands, if it has one of that name.
var MappedFields = []string{"key", "title", "severity", "state", "kind", "subject", "chain", "component", "group", "reason", "at", "labels", "links"}

// Bounds of a mapping.
const (
	maxExpression = 1000 // bytes
	maxNodes      = 200
	maxMemory     = 200_000 // elements that lists of one evaluation may have
	maxSteps      = 50_000  // turns of the loops of one evaluation
	maxText       = 1 << 20 // bytes of text that one evaluation may make
	mapWithin     = 2 * time.Second
)

// BadMapping says where an expression is wrong.
type BadMapping struct {
	Field    string `json:"field"` // "list" or one of MappedFields
	Line     int    `json:"line,omitempty"`
	Column   int    `json:"column,omitempty"` // from 1
	Sentence string `json:"detail"`
}

// Error says all of it.
func (b *BadMapping) Error() string {
	where := b.Field
	if b.Line > 0 {
		where += fmt.Sprintf(", line %d, column %d", b.Line, b.Column)
	}
	return where + ": " + b.Sentence
}

// Compiled is a mapping that can be run, by any number of goroutines.
type Compiled struct {
	list   *vm.Program
	fields []compiledField
}

type compiledField struct {
	name    string
	program *vm.Program
}

// builtins are the functions of expressions: none reads a clock or has an
// effect, and what they make is no longer than what they are given. The
// functions of scope come on top.
var builtins = strings.Fields("all any none one filter map find findIndex findLast count sum len type abs ceil floor round int float trim trimPrefix trimSuffix upper lower split indexOf lastIndexOf hasPrefix hasSuffix max min mean median fromJSON duration date first last get take keys values reverse sort sortBy groupBy")

// Compile checks a mapping. The error joins one *BadMapping for each expression
// that is wrong.
func (m Mapping) Compile() (*Compiled, error) {
	var errs []error
	c := &Compiled{}
	one := func(name, text string) *vm.Program {
		p, err := compile(name, text)
		if err != nil {
			errs = append(errs, err)
		}
		return p
	}
	if strings.TrimSpace(m.List) != "" {
		c.list = one("list", m.List)
	}
	for _, name := range MappedFields {
		if text := m.Fields[name]; strings.TrimSpace(text) != "" {
			c.fields = append(c.fields, compiledField{name, one(name, text)})
		}
	}
	for name := range m.Fields {
		if !slices.Contains(MappedFields, name) {
			errs = append(errs, &BadMapping{Field: signal.Line(name, 40), Sentence: "There is no such field. There are " + strings.Join(MappedFields, ", ") + "."})
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return c, nil
}

// Empty says that no field has an expression.
func (m Mapping) Empty() bool {
	for _, text := range m.Fields {
		if strings.TrimSpace(text) != "" {
			return false
		}
	}
	return strings.TrimSpace(m.List) == ""
}

func compile(name, text string) (*vm.Program, error) {
	if len(text) > maxExpression || !utf8.ValidString(text) {
		return nil, &BadMapping{Field: name, Sentence: fmt.Sprintf("An expression has at most %d bytes.", maxExpression)}
	}
	env := types.Map{types.Extra: types.Any}
	for member, v := range (&budget{}).scope(nil, nil) {
		env[member] = types.Any
		if v != nil {
			env[member] = types.TypeOf(v)
		}
	}
	meter := &metered{}
	opts := []expr.Option{expr.Env(env), expr.MaxNodes(maxNodes), expr.Patch(meter), expr.DisableAllBuiltins(), expr.Optimize(false)}
	for _, b := range builtins {
		opts = append(opts, expr.EnableBuiltin(b))
	}
	p, err := expr.Compile(text, opts...)
	if err != nil {
		return nil, located(name, err)
	}
	if meter.unknown != "" {
		return nil, &BadMapping{Field: name, Line: 1, Column: utf8.RuneCountInString(text[:min(meter.at, len(text))]) + 1, Sentence: fmt.Sprintf("There is no function %s.", signal.Line(meter.unknown, 40))}
	}
	return p, nil
}

func located(name string, err error) error {
	b := &BadMapping{Field: name, Sentence: signal.Line(err.Error(), 300)}
	var at *file.Error
	if errors.As(err, &at) {
		b.Line, b.Column, b.Sentence = at.Line, at.Column+1, signal.Line(at.Message, 300)
	}
	b.Sentence = strings.ToUpper(b.Sentence[:1]) + b.Sentence[1:]
	if !strings.HasSuffix(b.Sentence, ".") {
		b.Sentence += "."
	}
	return b
}

// Decode runs the mapping over a delivery, as DecodeGeneric reads one: every item
// is judged alone, the error joins one *BadInput for each that could not be
// read. now gives the time for bounding how long it may take.
func (c *Compiled) Decode(body []byte, at int64, now Clock) ([]signal.Observation, error) {
	if err := checkBody(body); err != nil {
		return nil, err
	}
	var whole any
	if err := json.Unmarshal(body, &whole); err != nil {
		return nil, bad("The body is not JSON that can be read.")
	}
	ends := now().Add(mapWithin)
	b := &budget{ends: ends, now: now}
	items, err := c.items(b, whole)
	if err != nil {
		return nil, err
	}
	var obs []signal.Observation
	var errs []error
	for i, it := range items {
		o, err := c.item(b, whole, it, at)
		if err != nil {
			errs = append(errs, bad("Item %d of %d: %s", i+1, len(items), strings.TrimSuffix(err.Error(), ".")+"."))
			if now().After(ends) {
				errs = append(errs, bad("Mapping took longer than %d s; the other items were not read.", int(mapWithin/time.Second)))
				break
			}
			continue
		}
		obs = append(obs, o)
	}
	return obs, errors.Join(errs...)
}

func (c *Compiled) items(b *budget, whole any) ([]any, error) {
	list, ok := whole.([]any)
	switch {
	case c.list != nil:
		v, err := b.run(c.list, "list", whole, whole)
		if err != nil {
			return nil, bad("%s", err)
		}
		if list, ok = v.([]any); !ok {
			return nil, bad("list: It must give a list, and gives %s.", named(v))
		}
	case !ok:
		list = []any{whole}
	}
	if len(list) > MaxItems {
		return nil, fmt.Errorf("%w: %w", ErrTooLarge, bad("The list has %d items, at most %d are taken at once. Send it in parts.", len(list), MaxItems))
	}
	return list, nil
}

func (c *Compiled) item(b *budget, whole, it any, at int64) (signal.Observation, error) {
	out := object{}
	if m, ok := it.(map[string]any); ok {
		for _, name := range append([]string{"id", "summary", "status", "description", "starts_at", "ends_at", "drill"}, MappedFields...) {
			if v, ok := m[name]; ok {
				if raw, err := json.Marshal(v); err == nil {
					out[name] = raw
				}
			}
		}
	}
	for _, f := range c.fields {
		v, err := b.run(f.program, f.name, whole, it)
		if err != nil {
			return signal.Observation{}, err
		}
		if err := b.weigh(v); err != nil {
			return signal.Observation{}, &BadMapping{Field: f.name, Sentence: err.Error()}
		}
		raw, err := json.Marshal(plain(v))
		if err != nil || len(raw) > maxText {
			return signal.Observation{}, &BadMapping{Field: f.name, Sentence: "What it gives is no text, number, list or object of those, or is too long."}
		}
		out[f.name] = raw
		for _, also := range synonyms[f.name] { // what is mapped counts more than what the item calls something similar
			delete(out, also)
		}
	}
	raw, err := json.Marshal(out)
	if err != nil {
		return signal.Observation{}, errors.New("it cannot be read")
	}
	return genericItem(raw, at)
}

var synonyms = map[string][]string{
	"key": {"id"}, "title": {"summary"}, "state": {"status"}, "reason": {"description"}, "at": {"starts_at", "ends_at"},
}

// plain turns what an expression gave into what JSON has, in the words that
// genericItem reads: times as RFC 3339, whole numbers without exponent, true
// and false as a state.
func plain(v any) any {
	switch v := v.(type) {
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return json.Number(strconv.FormatFloat(v, 'f', -1, 64))
		}
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil
		}
	}
	return v
}

func named(v any) string {
	switch v.(type) {
	case nil:
		return "nothing"
	case string:
		return "a text"
	case map[string]any:
		return "an object"
	case []any:
		return "a list"
	case bool:
		return "true or false"
	}
	return "a number"
}

// First is the signal that the first item of a sample would be, and how many
// items there are, for the page on which a mapping is tried.
func (c *Compiled) First(sample []byte, at int64, now Clock) (signal.Observation, int, error) {
	obs, err := c.Decode(sample, at, now)
	if len(obs) == 0 {
		return signal.Observation{}, 0, cmp.Or(err, bad("The sample has no item."))
	}
	return obs[0], len(obs), err
}
