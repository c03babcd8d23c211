package backends

import (
	"slices"
	"strings"
	"testing"
)

// FuzzLastWords: whatever a command says, what is kept of it is short, is plain text,
// is of its last lines, and does not depend on how the pipe has cut it.
func FuzzLastWords(f *testing.F) {
	f.Add([]byte("one\ntwo\r\nthree\n\n  four\n"), uint8(3))
	f.Add([]byte("\x1b[2J\xff\x00\té"), uint8(1))
	f.Add([]byte(strings.Repeat("x", 1000)+"\n"+strings.Repeat(" ", 300)), uint8(100))
	f.Fuzz(func(t *testing.T, said []byte, size uint8) {
		whole, cut := newLastWords(nil), newLastWords(nil)
		whole.take(said)
		for piece := range slices.Chunk(said, int(size)+1) {
			cut.take(piece)
		}
		got := whole.String()
		if other := cut.String(); got != other {
			t.Fatalf("%q, and in pieces %q", got, other)
		}
		if len(got) > stderrLines*stderrLine+2*(stderrLines-1) {
			t.Fatalf("%d bytes are kept", len(got))
		}
		for i := range len(got) {
			if got[i] < ' ' || got[i] > '~' {
				t.Fatalf("byte %#x is kept", got[i])
			}
		}
		lines := strings.FieldsFunc(string(said), func(r rune) bool { return r == '\n' || r == '\r' })
		for _, kept := range whole.lines {
			if !slices.ContainsFunc(lines, func(line string) bool { return len(line) >= len(kept) }) {
				t.Fatalf("%q is longer than any line that was said", kept)
			}
		}
		if strings.TrimSpace(string(said)) == "" && got != "" && !strings.Contains(got, "?") {
			t.Fatalf("%q is kept of nothing", got)
		}
	})
}
