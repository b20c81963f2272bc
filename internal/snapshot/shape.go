package snapshot

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
)

// Shape names the form of a body: the version, which its owner raises when the
// same events fold to something else, and the types that it is written from,
// down to every field, so that nobody has to remember those.
func Shape(version int, of ...any) string {
	var b strings.Builder
	for _, v := range of {
		describe(&b, reflect.TypeOf(v), nil)
		b.WriteByte('\n')
	}
	sum := sha256.Sum256([]byte(b.String()))
	return fmt.Sprintf("%d-%s", version, hex.EncodeToString(sum[:8]))
}

// describe writes a type's structure; inside are the structs around it, which
// end a circle.
func describe(b *strings.Builder, t reflect.Type, inside []reflect.Type) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		fmt.Fprintf(b, "%s ", t.Kind())
		if t.Kind() == reflect.Array {
			fmt.Fprintf(b, "%d ", t.Len())
		}
		describe(b, t.Elem(), inside)
	case reflect.Map:
		b.WriteString("map ")
		describe(b, t.Key(), inside)
		describe(b, t.Elem(), inside)
	case reflect.Struct:
		for _, outer := range inside {
			if outer == t {
				fmt.Fprintf(b, "again %s ", t)
				return
			}
		}
		b.WriteString("struct{")
		for i := range t.NumField() {
			f := t.Field(i)
			fmt.Fprintf(b, "%s %q ", f.Name, f.Tag)
			describe(b, f.Type, append(inside[:len(inside):len(inside)], t))
			b.WriteString(";")
		}
		b.WriteString("}")
	default:
		b.WriteString(t.Kind().String())
	}
}
