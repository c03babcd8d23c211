package xenstore

import (
	"bytes"
	"strconv"
	"strings"
)

const nul = "\x00"

// cutString takes the string that b begins with, up to its NUL.
func cutString(b []byte) (s, rest []byte, ok bool) {
	i := bytes.IndexByte(b, 0)
	if i < 0 {
		return nil, nil, false
	}
	return b[:i], b[i+1:], true
}

// parseString is a payload of exactly one string.
func parseString(b []byte) (string, bool) {
	s, rest, ok := cutString(b)
	return string(s), ok && len(rest) == 0
}

// parseStrings is a payload of any number of strings, none of them empty.
func parseStrings(b []byte) ([]string, bool) {
	if len(b) == 0 {
		return nil, true
	}
	if b[len(b)-1] != 0 {
		return nil, false
	}
	list := strings.Split(string(b[:len(b)-1]), nul)
	for _, s := range list {
		if s == "" {
			return nil, false
		}
	}
	return list, true
}

// parseEvent is the payload of a watch event: the path that changed, the token of
// the watch. The kernel's device may put more strings behind them.
func parseEvent(b []byte) (path, token []byte, ok bool) {
	path, b, ok = cutString(b)
	if !ok {
		return nil, nil, false
	}
	token, _, ok = cutString(b)
	return path, token, ok
}

// parseTransaction is the answer to XS_TRANSACTION_START. 0 would be no transaction.
func parseTransaction(b []byte) (uint32, bool) {
	s, ok := parseString(b)
	id, err := strconv.ParseUint(s, 10, 32)
	return uint32(id), ok && err == nil && id != 0
}

// parsePart is the answer to XS_DIRECTORY_PART: the generation of the node, then a
// part of the list of its children. Behind the last child stands an empty string.
func parsePart(b []byte) (generation string, part []byte, last, ok bool) {
	g, part, ok := cutString(b)
	n := len(part)
	if !ok || len(g) == 0 || n == 0 || part[n-1] != 0 {
		return "", nil, false, false
	}
	if n == 1 || part[n-2] == 0 {
		return string(g), part[:n-1], true, true
	}
	return string(g), part, false, true
}
