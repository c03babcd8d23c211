package xenstore

import (
	"errors"
	"strconv"
)

// Access is what a domain may do with a node, as the letter of the protocol.
type Access byte

// The values of Access.
const (
	None      Access = 'n'
	ReadOnly  Access = 'r'
	WriteOnly Access = 'w'
	Both      Access = 'b'
)

// Perm is one entry of a node's permissions. The first entry of a list names the
// owner, who may do everything, and the access of every domain that no later entry
// names.
type Perm struct {
	Domain uint16
	Access Access
}

// String is the entry as the protocol has it, such as "n5".
func (p Perm) String() string {
	return string(rune(p.Access)) + strconv.FormatUint(uint64(p.Domain), 10)
}

func (p Perm) valid() bool {
	switch p.Access {
	case None, ReadOnly, WriteOnly, Both:
		return true
	}
	return false
}

var errPerms = errors.New("permissions need an owner first, and n, r, w or b for each domain")

func parsePerm(s string) (Perm, bool) {
	if s == "" {
		return Perm{}, false
	}
	domain, err := strconv.ParseUint(s[1:], 10, 16)
	p := Perm{Domain: uint16(domain), Access: Access(s[0])}
	return p, err == nil && p.valid()
}

func parsePerms(b []byte) ([]Perm, bool) {
	list, ok := parseStrings(b)
	if !ok || len(list) == 0 {
		return nil, false
	}
	perms := make([]Perm, len(list))
	for i, s := range list {
		if perms[i], ok = parsePerm(s); !ok {
			return nil, false
		}
	}
	return perms, true
}
