package config

import (
	"os/exec"
	"testing"
)

func TestShellWord(t *testing.T) {
	for s, want := range map[string]string{
		"web1": "web1", "/run/a-b.sock": "/run/a-b.sock", "a@b:c+d=e,f": "a@b:c+d=e,f",
		"": "''", "a b": "'a b'", "it's": `'it'\''s'`, "-x": "'-x'", "~": "'~'", "a*": "'a*'", "$(x)": "'$(x)'", "a\nb": "'a\nb'", "ä": "'ä'", "#": "'#'",
	} {
		got := ShellWord(s)
		if got != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
		if out, err := exec.CommandContext(t.Context(), "sh", "-c", "printf %s "+got).Output(); err != nil || string(out) != s {
			t.Errorf("%q: a shell takes it for %q, %v", s, out, err)
		}
	}
}
