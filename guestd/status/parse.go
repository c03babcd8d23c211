//go:build linux

package status

import (
	"strconv"
	"strings"
	"time"
)

// parse reads what AppendJSON wrote: one object of strings, whole numbers and
// nulls. It says whether s was such.
func (r *Record) parse(s string) bool {
	fields := map[string]any{}
	r.each(func(key string, field any) { fields[key] = field })
	s, ok := strings.CutPrefix(strings.TrimSpace(s), "{")
	for ok && s != "}" {
		var key, value string
		if key, s, ok = quoted(s); !ok {
			return false
		}
		if s, ok = strings.CutPrefix(s, ":"); !ok {
			return false
		}
		text := strings.HasPrefix(s, `"`)
		if text {
			value, s, ok = quoted(s)
		} else if end := strings.IndexAny(s, ",}"); end > 0 {
			value, s = s[:end], s[end:]
		} else {
			return false
		}
		ok = ok && set(fields[key], value, text)
		if rest, more := strings.CutPrefix(s, ","); more {
			s = rest
		} else if s != "}" {
			return false
		}
	}
	return ok
}

// quoted takes a quoted string from the front of s.
func quoted(s string) (value, rest string, ok bool) {
	var b strings.Builder
	for i := 1; i < len(s) && s[0] == '"'; i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], true
		case '\\':
			if i++; i == len(s) {
				return "", s, false
			}
		}
		b.WriteByte(s[i])
	}
	return "", s, false
}

func set(field any, value string, text bool) (ok bool) {
	var err error
	switch v := field.(type) {
	case *int:
		*v, err = strconv.Atoi(value)
		return err == nil && !text
	case *string:
		*v = value
		return text
	case *time.Time:
		if value == "null" && !text {
			return true
		}
		*v, err = time.Parse(time.RFC3339Nano, value)
		return err == nil && text
	}
	return true
}
