// Package quote writes and reads the strings of guestd's flat JSON objects
// (encoding/json would double guestd's size).
//
// It promises that what Append wrote is a JSON string whatever was in it, of
// printable ASCII alone, and that Cut reads it back.
package quote

import "strings"

// Append quotes s, whose characters outside printable ASCII become "?".
func Append(b []byte, s string) []byte {
	b = append(b, '"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', byte(c))
		case c < ' ' || c > '~':
			b = append(b, '?')
		default:
			b = append(b, byte(c))
		}
	}
	return append(b, '"')
}

// Cut takes a quoted string from the front of s.
func Cut(s string) (value, rest string, ok bool) {
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
