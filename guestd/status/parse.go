//go:build linux

package status

import (
	"strconv"
	"strings"
	"time"

	"headgate/guestd/quote"
)

// parse reads what AppendJSON wrote: one object of strings, whole numbers and
// nulls. It says whether s was such.
func (r *Record) parse(s string) bool {
	fields := map[string]any{}
	r.each(func(key string, field any) { fields[key] = field })
	s, ok := strings.CutPrefix(strings.TrimSpace(s), "{")
	for ok && s != "}" {
		var key, value string
		if key, s, ok = quote.Cut(s); !ok {
			return false
		}
		if s, ok = strings.CutPrefix(s, ":"); !ok {
			return false
		}
		text := strings.HasPrefix(s, `"`)
		if text {
			value, s, ok = quote.Cut(s)
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
