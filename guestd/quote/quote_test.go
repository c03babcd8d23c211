package quote

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzAppend: what was appended is JSON of printable ASCII, and both JSON and Cut
// read the same from it: the string, but for the characters that became "?".
func FuzzAppend(f *testing.F) {
	for _, s := range []string{"", "plain", `a "quoted\" reason`, "a\nb\x00é\xff", `\`, `"`, "?"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := string(Append([]byte("x"), s))
		var decoded string
		if err := json.Unmarshal([]byte(b[1:]), &decoded); err != nil {
			t.Fatalf("%q: %q: %v", s, b, err)
		}
		want := strings.Map(func(c rune) rune {
			if c < ' ' || c > '~' {
				return '?'
			}
			return c
		}, s)
		value, rest, ok := Cut(b[1:] + ",rest")
		if !ok || value != want || decoded != want || rest != ",rest" {
			t.Errorf("%q: %q, read as %q and %q, %q left", s, b, decoded, value, rest)
		}
	})
}

func TestCutRefuses(t *testing.T) {
	for _, s := range []string{"", `"`, `"x`, `"x\`, `"x\"`, `x"`, `1`} {
		if value, rest, ok := Cut(s); ok || value != "" || rest != s {
			t.Errorf("%q: %q, %q", s, value, rest)
		}
	}
}
