package intake

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/vm"
	"github.com/expr-lang/expr/vm/runtime"

	"github.com/tocsin-ops/tocsin/internal/signal"
)

// budget bounds what the expressions of one delivery may take: turns of loops,
// texts made, and time. The list sizes are bounded by the machine itself.
type budget struct {
	ends  time.Time
	now   Clock
	steps int
	bytes int
}

var (
	errSteps = fmt.Errorf("It runs through more than %d elements.", maxSteps)  //nolint:staticcheck // shown to people as a sentence
	errBytes = fmt.Errorf("It makes more than %d bytes of text.", maxText)     //nolint:staticcheck // as above
	errSlow  = fmt.Errorf("It takes longer than %d s.", mapWithin/time.Second) //nolint:staticcheck // as above
)

// run evaluates one expression with a fresh allowance of steps and bytes.
func (b *budget) run(p *vm.Program, name string, body, item any) (any, error) {
	b.steps, b.bytes = 0, 0
	if b.now().After(b.ends) {
		return nil, &BadMapping{Field: name, Sentence: errSlow.Error()}
	}
	machine := vm.VM{MemoryBudget: maxMemory}
	v, err := machine.Run(p, b.scope(body, item))
	if err != nil {
		for _, known := range []error{errSteps, errBytes, errSlow} {
			if errors.Is(err, known) || strings.Contains(err.Error(), known.Error()) {
				return nil, &BadMapping{Field: name, Sentence: known.Error()}
			}
		}
		return nil, located(name, err)
	}
	return v, nil
}

// scope is what an expression sees.
func (b *budget) scope(body, item any) map[string]any {
	env := map[string]any{}
	if m, ok := item.(map[string]any); ok {
		maps.Copy(env, m)
	}
	env["body"], env["item"] = body, item
	env["tocsin_turn"], env["tocsin_add"] = b.turn, b.add
	env["string"], env["join"], env["replace"], env["uniq"] = b.text, b.join, b.replace, b.uniq
	env["tocsin_equal"], env["tocsin_in"] = b.equal, b.in
	return env
}

// turn is called around the body of every loop of an expression.
func (b *budget) turn(v any) (any, error) {
	b.steps++
	if s, ok := v.(string); ok {
		b.bytes += len(s)
	}
	switch {
	case b.steps > maxSteps:
		return nil, errSteps
	case b.bytes > maxText:
		return nil, errBytes
	case b.steps%16 == 0 && b.now != nil && b.now().After(b.ends):
		return nil, errSlow
	}
	return v, nil
}

func (b *budget) made(s string) (any, error) {
	if b.bytes += len(s); b.bytes > maxText {
		return nil, errBytes
	}
	return s, nil
}

// add is +, of numbers and of texts; nothing and a text is the text.
func (b *budget) add(x, y any) (any, error) {
	switch x := x.(type) {
	case string:
		s, ok := scalar(y)
		if !ok {
			return nil, fmt.Errorf("a text and %s cannot be added", named(y))
		}
		return b.made(x + s)
	case float64:
		switch y := y.(type) {
		case float64:
			return x + y, nil
		case int:
			return x + float64(y), nil
		}
	case int:
		switch y := y.(type) {
		case float64:
			return float64(x) + y, nil
		case int:
			return x + y, nil
		}
	case time.Time:
		if d, ok := y.(time.Duration); ok {
			return x.Add(d), nil
		}
	}
	if y, ok := y.(string); ok {
		if s, ok := scalar(x); ok {
			return b.made(s + y)
		}
	}
	return nil, fmt.Errorf("%s and %s cannot be added", named(x), named(y))
}

func scalar(v any) (string, bool) {
	switch v := plain(v).(type) {
	case nil:
		return "", true
	case string:
		return v, true
	case map[string]any, []any:
		return "", false
	default:
		return fmt.Sprint(v), true
	}
}

func (b *budget) text(v any) (any, error) {
	s, ok := scalar(v)
	if !ok {
		return nil, fmt.Errorf("string() takes a text, a number or a boolean, and was given %s", named(v))
	}
	return b.made(s)
}

func (b *budget) join(list any, between ...string) (any, error) {
	items, ok := list.([]any)
	if !ok {
		return nil, fmt.Errorf("join() takes a list, and was given %s", named(list))
	}
	sep := strings.Join(between, "")
	var out strings.Builder
	for i, it := range items {
		s, ok := scalar(it)
		if !ok {
			return nil, fmt.Errorf("join() takes a list of texts, and was given one of %s", named(it))
		}
		if i > 0 {
			out.WriteString(sep)
		}
		out.WriteString(s)
		if b.bytes+out.Len() > maxText {
			return nil, errBytes
		}
	}
	return b.made(out.String())
}

func (b *budget) replace(s, old, with any) (any, error) {
	x, ok1 := scalar(s)
	y, ok2 := scalar(old)
	z, ok3 := scalar(with)
	if !ok1 || !ok2 || !ok3 {
		return nil, errors.New("replace() takes three texts")
	}
	if y == "" {
		return x, nil
	}
	if b.bytes+len(x)+strings.Count(x, y)*max(0, len(z)-len(y)) > maxText {
		return nil, errBytes
	}
	return b.made(strings.ReplaceAll(x, y, z))
}

// weigh counts all that a value has within it. A list that holds another one twice, which holds another one twice, is small until somebody goes
// through it: then it is larger than any machine.
func (b *budget) weigh(v any) error {
	switch v := v.(type) {
	case string:
		if b.bytes += len(v); b.bytes > maxText {
			return errBytes
		}
	case []any:
		for _, it := range v {
			if b.steps++; b.steps > maxSteps {
				return errSteps
			}
			if err := b.weigh(it); err != nil {
				return err
			}
		}
	case map[string]any:
		for _, it := range v {
			if b.steps++; b.steps > maxSteps {
				return errSteps
			}
			if err := b.weigh(it); err != nil {
				return err
			}
		}
	case map[any][]any: // of groupBy
		for _, it := range v {
			if err := b.weigh(it); err != nil {
				return err
			}
		}
	}
	return nil
}

// nested says that a value may have a list within a list.
func nested(v any) bool {
	list, ok := v.([]any)
	if !ok {
		_, ok = v.(map[string]any)
		return ok
	}
	return slices.ContainsFunc(list, func(it any) bool {
		switch it.(type) {
		case []any, map[string]any, map[any][]any:
			return true
		}
		return false
	})
}

// equal is ==.
func (b *budget) equal(x, y any) (any, error) {
	if nested(x) && nested(y) {
		if err := cmp.Or(b.weigh(x), b.weigh(y)); err != nil {
			return nil, err
		}
	}
	return runtime.Equal(x, y), nil
}

// in is whether something is in a list, or the name of a member of an object.
func (b *budget) in(x, y any) (any, error) {
	if nested(x) {
		if err := b.weigh(y); err != nil {
			return nil, err
		}
	}
	return runtime.In(x, y), nil
}

// uniq is a list without what is in it already. That of the machine compares each with each, which takes minutes for a long list.
func (b *budget) uniq(list any) (any, error) {
	if some, ok := list.([]int); ok {
		all := make([]any, len(some))
		for i, n := range some {
			all[i] = n
		}
		list = all
	}
	items, ok := list.([]any)
	if !ok {
		return nil, fmt.Errorf("uniq() takes a list, and was given %s", named(list))
	}
	if b.steps += len(items); b.steps > maxSteps {
		return nil, errSteps
	}
	seen := map[string]bool{}
	out := []any{}
	for _, it := range items {
		if err := b.weigh(it); err != nil {
			return nil, err
		}
		raw, err := json.Marshal(plain(it))
		if err != nil {
			return nil, errors.New("uniq() takes a list of texts, numbers, lists or objects of those")
		}
		if b.bytes += len(raw); b.bytes > maxText {
			return nil, errBytes
		}
		if !seen[string(raw)] {
			seen[string(raw)] = true
			out = append(out, it)
		}
	}
	return out, nil
}

// metered puts the budget into an expression: every body of a loop goes through
// turn, every + through add. It notes the first call of what is no function.
type metered struct {
	unknown string
	at      int
}

// functions are those that scope adds to the builtins.
var functions = []string{"tocsin_turn", "tocsin_add", "tocsin_equal", "tocsin_in", "string", "join", "replace", "uniq"}

// Visit implements ast.Visitor.
func (m *metered) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.CallNode:
		if name := callee(n); !slices.Contains(functions, name) && m.unknown == "" {
			m.unknown, m.at = cmp.Or(name, "of that kind"), n.Location().From
		}
	case *ast.PredicateNode:
		if call, ok := n.Node.(*ast.CallNode); ok && callee(call) == "tocsin_turn" {
			return
		}
		n.Node = &ast.CallNode{Callee: &ast.IdentifierNode{Value: "tocsin_turn"}, Arguments: []ast.Node{n.Node}}
	case *ast.BinaryNode:
		name := map[string]string{"+": "tocsin_add", "==": "tocsin_equal", "!=": "tocsin_equal", "in": "tocsin_in"}[n.Operator]
		if name == "" {
			return
		}
		call := &ast.CallNode{Callee: &ast.IdentifierNode{Value: name}, Arguments: []ast.Node{n.Left, n.Right}}
		call.SetLocation(n.Location())
		if *node = call; n.Operator == "!=" {
			not := &ast.UnaryNode{Operator: "not", Node: call}
			not.SetLocation(n.Location())
			*node = not
		}
	}
}

func callee(c *ast.CallNode) string {
	if id, ok := c.Callee.(*ast.IdentifierNode); ok {
		return id.Value
	}
	return ""
}

// sampleOf keeps what a page may show of a body.
func sampleOf(body []byte) []byte {
	if len(body) > maxSample {
		return nil
	}
	return []byte(signal.Text(string(body), maxSample))
}
