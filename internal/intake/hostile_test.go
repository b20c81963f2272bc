package intake_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/internal/intake"
)

// Whatever an expression says and a delivery brings, a delivery is read or refused soon, and nothing grows without bound.
func TestMappingBombs(t *testing.T) {
	var long, deep strings.Builder
	for i := range 90_000 {
		fmt.Fprintf(&long, ",%d", i)
	}
	deep.WriteString("let a0=[1,1];")
	for i := range 30 {
		fmt.Fprintf(&deep, "let a%d=[a%d,a%d];", i+1, i, i)
	}
	body := []byte(`{"id":"a","title":"b","many":[0` + long.String() + `]}`)
	for _, c := range []struct{ expression, says string }{
		{"len(uniq(many))", "runs through more"},
		{"len(uniq(1..100000))", "runs through more"},
		{deep.String() + "a30 == a30", "runs through more"},
		{deep.String() + "a30 != [a30]", "runs through more"},
		{deep.String() + "a30 in [a30]", "runs through more"},
		{deep.String() + "len(uniq([a30, a30]))", "runs through more"},
		{deep.String() + "a30", "runs through more"},
		{"map(1..5000, body)", "runs through more"},
		{`join(uniq(["a", "b", "a"]), "")`, ""},
		{`id == "a" and id != "b" and id in ["a"] and not ("z" in item) and (missing == nil) ? "yes" : "no"`, ""},
	} {
		m, err := intake.Mapping{Fields: map[string]string{"kind": c.expression}}.Compile()
		if err != nil {
			t.Fatalf("%s: %v", c.expression, err)
		}
		obs, err := m.Decode(body, 1, func() time.Time { return time.Unix(0, 0) })
		if c.says == "" && (err != nil || len(obs) != 1) || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%.60s…: %d, %v", c.expression, len(obs), err)
		}
		if len(obs) == 1 && strings.HasSuffix(c.expression, `"no"`) && obs[0].Kind != "yes" {
			t.Errorf("%s gives %q", c.expression, obs[0].Kind)
		}
	}
}
