package guard

import "testing"

func TestText(t *testing.T) {
	for raw, want := range map[string]string{
		"hostd\x00\x00\x00":      "hostd",
		"sixteen characte":       "sixteen characte",
		"\x1b[31mred\x00":        `\x1b[31mred`,
		"a\nb\x00left of a name": `a\nb`,
		"\xff\x00":               `\xff`,
		"\x00":                   "",
	} {
		if got := text([]byte(raw)); got != want {
			t.Errorf("%q: %q, want %q", raw, got, want)
		}
	}
}
