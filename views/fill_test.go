package views_test

import "reflect"

// plain is the word in every string field of a filled model.
const plain = "word"

// fill makes a model with text in every string field, two elements in every slice, and numbers that are not zero.
func fill[T any](text string) T {
	var v T
	fillValue(reflect.ValueOf(&v).Elem(), text, 0)
	return v
}

func fillValue(v reflect.Value, text string, depth int) {
	if depth > 12 {
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Float64:
		v.SetFloat(1.5)
	case reflect.Slice:
		n := 1
		if v.Type().Elem().Kind() == reflect.Float64 {
			n = 3
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fillValue(v.Index(i), text, depth+1)
		}
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]any{text: text}))
	case reflect.Pointer:
		if v.Type().Elem().Name() == "Action" && depth > 6 {
			return // an action's undo is an action
		}
		v.Set(reflect.New(v.Type().Elem()))
		fillValue(v.Elem(), text, depth+1)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Name == "Undo" && depth > 5 {
				continue
			}
			fillValue(v.Field(i), text, depth+1)
		}
	}
}
