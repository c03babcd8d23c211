//go:build linux

package check

import "strings"

// fix makes a command for the folder where the image was looked at, whose name is
// put in for every "%".
func (m *image) fix(command string) string { return strings.ReplaceAll(command, "%", m.prefix) }

// removal is the command that removes these files of the image.
func (m *image) removal(paths []string) string {
	command := "rm -f"
	for _, p := range paths {
		command += " " + m.prefix + p
	}
	return command
}

// quoted makes one word for the shell of s.
func quoted(s string) string {
	plain := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("/._-+:,@", c)
	}
	if strings.IndexFunc(s, func(c rune) bool { return !plain(c) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// printable makes a name of the image harmless to a terminal.
func printable(s string) string {
	if len(s) > 256 {
		s = s[:256] + "..."
	}
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, s)
}
