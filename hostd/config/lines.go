package config

import (
	"bytes"
	"strconv"
	"strings"
)

// index tells the line of each key, by paths such as "reservoir.size" and
// "guest[1].rate". The TOML library has positions only for its own errors.
type index map[string]int

// line finds a key's line, or that of the nearest key around it: the keys of an
// inline table have the line on which the table begins.
func (ix index) line(path string) int {
	for path != "" {
		if n, ok := ix[path]; ok {
			return n
		}
		path = path[:max(strings.LastIndexByte(path, '.'), strings.LastIndexByte(path, '['), 0)]
	}
	return 1
}

// maxDepth bounds the nesting of values and the parts of a dotted key. No key of
// ours needs more than three, and the TOML library's time and memory grow with
// the square of it.
const maxDepth = 8

// indexLines scans a TOML text, or what is meant to be one, in a single pass
// without recursion. It also tells on which line the nesting is too deep, or 0.
func indexLines(data []byte) (lines index, tooDeep int) {
	s := scanner{data: data, line: 1, index: index{}, arrays: map[string]int{}}
	for s.pos < len(data) {
		switch data[s.pos] {
		case '#':
			s.restOfLine()
		case ' ', '\t', '\r', '\n':
			s.step()
		case '[':
			s.header()
		default:
			s.note(s.prefix, s.key('='))
			s.value()
		}
	}
	return s.index, s.tooDeep
}

type scanner struct {
	data      []byte
	pos, line int
	index     index
	prefix    []string       // of the table that the keys belong to
	arrays    map[string]int // elements seen of each array of tables
	tooDeep   int            // first line with too many levels
}

func (s *scanner) depth(levels int) {
	if levels > maxDepth && s.tooDeep == 0 {
		s.tooDeep = s.line
	}
}

func (s *scanner) step() {
	if s.data[s.pos] == '\n' {
		s.line++
	}
	s.pos++
}

func (s *scanner) restOfLine() {
	for s.pos < len(s.data) && s.data[s.pos] != '\n' {
		s.pos++
	}
}

func (s *scanner) note(prefix, key []string) {
	path := strings.Join(append(prefix[:len(prefix):len(prefix)], key...), ".")
	if _, seen := s.index[path]; !seen {
		s.index[path] = s.line
	}
}

// header reads "[a.b]" or "[[a.b]]" and makes it the prefix of what follows.
func (s *scanner) header() {
	isArray := bytes.HasPrefix(s.data[s.pos:], []byte("[["))
	s.pos++
	if isArray {
		s.pos++
	}
	key := s.key(']')
	s.prefix = s.prefix[:0:0]
	for i, part := range key {
		s.prefix = append(s.prefix, part)
		path := strings.Join(s.prefix, ".")
		if isArray && i == len(key)-1 {
			s.note(s.prefix, nil)
			s.arrays[path]++
		}
		if n := s.arrays[path]; n > 0 {
			s.prefix[i] += "[" + strconv.Itoa(n-1) + "]"
		}
	}
	s.note(s.prefix, nil)
	s.restOfLine()
}

// key reads a dotted key up to and with the byte that ends it.
func (s *scanner) key(end byte) (parts []string) {
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; c {
		case end:
			s.pos++
			return parts
		case ' ', '\t', '.':
			s.pos++
		case '\n':
			return parts // not valid TOML; never loop over it
		case '"', '\'':
			from := s.pos
			s.quoted()
			raw := string(s.data[from:s.pos])
			part, err := strconv.Unquote(raw)
			if err != nil {
				part = strings.Trim(raw, raw[:1])
			}
			parts = append(parts, part)
		default:
			from := s.pos
			for s.pos < len(s.data) && !bytes.ContainsRune([]byte(" \t.\n]="), rune(s.data[s.pos])) {
				s.pos++
			}
			if s.pos == from {
				s.pos++
			}
			parts = append(parts, string(s.data[from:s.pos]))
		}
		if len(parts) > maxDepth {
			s.depth(len(parts))
			parts = parts[:maxDepth]
		}
	}
	return parts
}

// value skips over a value: to the end of a line outside brackets and strings.
func (s *scanner) value() {
	for depth, dots := 0, 0; s.pos < len(s.data); {
		c := s.data[s.pos]
		switch c {
		case '.':
			dots++ // of a dotted key in an inline table
		case ',', '=', '{', '}', '[', ']', '\n':
			dots = 0
		}
		s.depth(max(depth, dots))
		switch c {
		case '\n':
			s.step()
			if depth <= 0 {
				return
			}
		case '#':
			s.restOfLine()
		case '"', '\'':
			s.quoted()
		case '[', '{':
			depth++
			s.pos++
		case ']', '}':
			depth--
			s.pos++
		default:
			s.pos++
		}
	}
}

// quoted skips over a string of any of TOML's four kinds.
func (s *scanner) quoted() {
	quote := s.data[s.pos : s.pos+1]
	long := bytes.Repeat(quote, 3)
	if bytes.HasPrefix(s.data[s.pos:], long) {
		quote = long
	}
	s.pos += len(quote)
	for s.pos < len(s.data) {
		if bytes.HasPrefix(s.data[s.pos:], quote) {
			s.pos += len(quote)
			// Up to two more quotes may stand before the closing three.
			for len(quote) == 3 && s.pos < len(s.data) && s.data[s.pos] == quote[0] {
				s.pos++
			}
			return
		}
		if quote[0] == '"' && s.data[s.pos] == '\\' && s.pos+1 < len(s.data) {
			s.pos++
		}
		s.step()
	}
}
