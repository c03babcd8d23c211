package config

import (
	"encoding"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// fields are the keys that a table may have, and what takes each one's value.
type fields map[string]func(value any) error

// walk gives every value of a table to its field, and reports every key that
// is not one and every value that is refused.
func walk(path string, table map[string]any, f fields, report report) {
	for _, key := range slices.Sorted(maps.Keys(table)) {
		at := strings.TrimPrefix(path+"."+key, ".")
		take, known := f[key]
		if !known {
			report(at, refuse(strings.Join(slices.Sorted(maps.Keys(f)), ", "), "unknown key"))
			continue
		}
		if err := take(table[key]); err != nil {
			report(at, err)
		}
	}
}

// aTable takes a table with the fields given.
func aTable(path string, f fields, report report) func(any) error {
	return func(value any) error {
		table, ok := value.(map[string]any)
		if !ok {
			return refuse("a table: ["+path+"]", "%s is not a table", kindOf(value))
		}
		walk(path, table, f, report)
		return nil
	}
}

// tables takes an array of tables; add makes room for one more and gives its fields.
func tables(path string, add func() fields, report report) func(any) error {
	return func(value any) error {
		var elements []any
		switch v := value.(type) {
		case []map[string]any:
			for _, t := range v {
				elements = append(elements, t)
			}
		case []any:
			elements = v
		default:
			return refuse("tables: [["+path+"]]", "%s is not an array of tables", kindOf(value))
		}
		for i, e := range elements {
			at := fmt.Sprintf("%s[%d]", path, i)
			f := add() // also for what is no table, so that the indexes agree
			table, ok := e.(map[string]any)
			if !ok {
				report(at, refuse("tables: [["+path+"]]", "%s is not a table", kindOf(e)))
			}
			walk(at, table, f, report)
		}
		return nil
	}
}

// text takes a string that check, if there is one, finds right.
func text(into *string, check func(string) error) func(any) error {
	return func(value any) error {
		s, ok := value.(string)
		if !ok {
			return refuse("a string in quotes", "%s is not a string", kindOf(value))
		}
		if check != nil {
			if err := check(s); err != nil {
				return err
			}
		}
		*into = s
		return nil
	}
}

// parsed takes a string that the type itself reads, then check, if there is one.
func parsed[T any, P interface {
	*T
	encoding.TextUnmarshaler
}](into P, allowed string, check func(T) error) func(any) error {
	return func(value any) error {
		s, ok := value.(string)
		if !ok {
			return refuse(allowed, "%s is not a string", kindOf(value))
		}
		var v T
		if err := P(&v).UnmarshalText([]byte(s)); err != nil {
			return err
		}
		if check != nil {
			if err := check(v); err != nil {
				return err
			}
		}
		*into = v
		return nil
	}
}

// integer takes a whole number that check finds right.
func integer(into *int, check func(int) error) func(any) error {
	return func(value any) error {
		n, ok := value.(int64)
		if !ok {
			return refuse("a whole number", "%s is not a whole number", kindOf(value))
		}
		if err := check(int(n)); err != nil {
			return err
		}
		*into = int(n)
		return nil
	}
}

// number takes a number with or without a fraction.
func number(into *float64, check func(float64) error) func(any) error {
	return func(value any) error {
		var n float64
		switch v := value.(type) {
		case float64:
			n = v
		case int64:
			n = float64(v)
		default:
			return refuse("a number", "%s is not a number", kindOf(value))
		}
		if err := check(n); err != nil {
			return err
		}
		*into = n
		return nil
	}
}

func boolean(into *bool) func(any) error {
	return func(value any) error {
		b, ok := value.(bool)
		if !ok {
			return refuse("true or false", "%s is not a boolean", kindOf(value))
		}
		*into = b
		return nil
	}
}

// kindOf names what stands where something else should.
func kindOf(value any) string {
	switch v := value.(type) {
	case string:
		return fmt.Sprintf("the string %q", clip(v))
	case int64, float64, bool:
		return fmt.Sprint(v)
	case map[string]any:
		return "a table"
	case []any, []map[string]any:
		return "an array"
	default:
		return "a date"
	}
}
