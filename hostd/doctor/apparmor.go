package doctor

import (
	"regexp"
	"strings"
)

// allows tells whether the rules let path be used in all the given ways, which
// are letters of apparmor.d(5): r, w, x. It knows file rules on one line, which is
// how they are written; a rule that denies wins.
func allows(policies []Policy, path, ways string) bool {
	missing := ways
	for _, p := range policies {
		for line := range strings.Lines(p.Text) {
			r, ok := parseRule(line)
			if !ok || !r.matches(path) {
				continue
			}
			if r.deny && strings.ContainsAny(r.ways, ways) {
				return false
			}
			if !r.deny {
				missing = strings.Map(func(way rune) rune {
					if strings.ContainsRune(r.ways, way) {
						return -1
					}
					return way
				}, missing)
			}
		}
	}
	return missing == ""
}

// rule is a file rule.
type rule struct {
	deny bool
	path string // with its wildcards
	ways string
}

// parseRule reads "PATH WAYS," or "WAYS PATH," with what may stand before it.
func parseRule(line string) (rule, bool) {
	var r rule
	var owner bool
	rest := strings.TrimSpace(line)
	for {
		first, after, _ := strings.Cut(rest, " ")
		switch first {
		case "audit", "allow", "file":
		case "deny":
			r.deny = true
		case "owner":
			owner = true
		default:
			if owner && !r.deny {
				return rule{}, false // it asks for more than the path
			}
			return r.read(rest)
		}
		rest = strings.TrimSpace(after)
	}
}

func (r rule) read(text string) (rule, bool) {
	var ok bool
	if isPath(text) {
		if r.path, text, ok = cutPath(text); !ok {
			return rule{}, false
		}
		r.ways, _, ok = strings.Cut(text, ",")
	} else {
		r.ways, text, _ = strings.Cut(text, " ")
		text = strings.TrimSpace(text)
		if !isPath(text) {
			return rule{}, false
		}
		if r.path, text, ok = cutPath(text); !ok {
			return rule{}, false
		}
		if !strings.HasSuffix(r.path, ",") {
			_, _, ok = strings.Cut(text, ",")
		}
		r.path = strings.TrimSuffix(r.path, ",")
	}
	r.ways, _, _ = strings.Cut(r.ways, "->") // the profile to change to
	r.ways = strings.ToLower(strings.TrimSpace(r.ways))
	return r, ok && r.ways != "" && strings.Trim(r.ways, "rwaklmixpcu") == ""
}

func isPath(s string) bool {
	return strings.HasPrefix(s, "/") || strings.HasPrefix(s, "@{") || strings.HasPrefix(s, `"`)
}

// cutPath takes a path, quoted or up to the next blank, off the front of s.
func cutPath(s string) (path, rest string, ok bool) {
	if quoted, is := strings.CutPrefix(s, `"`); is {
		return strings.Cut(quoted, `"`)
	}
	i := strings.IndexAny(s, " \t")
	if i < 0 {
		return s, "", true
	}
	return s[:i], s[i:], true
}

func (r rule) matches(path string) bool {
	re, err := regexp.Compile(pattern(r.path))
	return err == nil && re.MatchString(path)
}

// pattern writes the wildcards of apparmor.d(5), "Globbing", as a regular
// expression. Of the variables it knows @{run}, the one that newer profiles use.
func pattern(glob string) string {
	glob = strings.ReplaceAll(glob, "@{run}", "{,/var}/run")
	var b strings.Builder
	b.WriteString(`\A(?s:`)
	depth, class := 0, false
	for i := 0; i < len(glob); i++ {
		c := glob[i]
		switch {
		case c == '\\' && i+1 < len(glob):
			i++
			b.WriteString(regexp.QuoteMeta(glob[i : i+1]))
		case class:
			class = c != ']'
			b.WriteByte(c)
		case c == '[':
			class = true
			b.WriteByte(c)
		case c == '*' && i+1 < len(glob) && glob[i+1] == '*':
			i++
			b.WriteString(".*")
		case c == '*':
			b.WriteString("[^/]*")
		case c == '?':
			b.WriteString("[^/]")
		case c == '{':
			depth++
			b.WriteString("(?:")
		case c == '}' && depth > 0:
			depth--
			b.WriteString(")")
		case c == ',' && depth > 0:
			b.WriteString("|")
		default:
			b.WriteString(regexp.QuoteMeta(glob[i : i+1]))
		}
	}
	b.WriteString(`)\z`)
	return b.String()
}
