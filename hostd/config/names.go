package config

import (
	"fmt"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxSocketPath is the longest path of a unix socket, in bytes: sun_path of
// <sys/un.h> less its closing zero.
const maxSocketPath = 107

// maxPath is PATH_MAX of <linux/limits.h> less its closing zero.
const maxPath = 4095

const allowedName = "1 to 63 letters, digits and . _ - + @ : with a letter or digit first"

// CheckName says what is wrong with the name of a guest, class or source. A
// name stands in metrics, URLs and file names as it is.
func CheckName(name string) error {
	if name == "" {
		return refuse(allowedName, "no name is given")
	}
	for i, r := range name {
		alnum := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !alnum && (i == 0 || !strings.ContainsRune("._-+@:", r)) {
			return refuse(allowedName, "%q has the character %q", clip(name), r)
		}
	}
	if len(name) > 63 {
		return refuse(allowedName, "%q is %d characters long", clip(name), len(name))
	}
	return nil
}

func checkPath(path string, longest int) error {
	allowed := fmt.Sprintf("an absolute path of at most %d bytes without . or .. in it", longest)
	switch {
	case !utf8.ValidString(path) || strings.ContainsFunc(path, unicode.IsControl):
		return refuse(allowed, "the path %q has a control character", clip(path))
	case !filepath.IsAbs(path) || filepath.Clean(path) != path || path == "/":
		return refuse(allowed, "%q is not such a path", clip(path))
	case len(path) > longest:
		return refuse(allowed, "the path %q is %d bytes long", clip(path), len(path))
	}
	return nil
}

func checkSocketPath(path string) error { return checkPath(path, maxSocketPath) }
func checkFilePath(path string) error   { return checkPath(path, maxPath) }

// Owner is who a socket is given to: "user", "user:group" or ":group".
type Owner string

const allowedOwner = "user, user:group or :group of this host, by name or number"

// Lookup finds the numbers on this host; -1 stands for what is not given.
func (o Owner) Lookup() (uid, gid int, err error) {
	uid, gid = -1, -1
	name, group, _ := strings.Cut(string(o), ":")
	if name == "" && group == "" || len(o) > 128 {
		return -1, -1, refuse(allowedOwner, "%q names nobody", clip(string(o)))
	}
	if name != "" {
		if uid, err = lookup(name, func(n string) (string, error) {
			u, err := user.Lookup(n)
			if err != nil {
				return "", err
			}
			return u.Uid, nil
		}); err != nil {
			return -1, -1, refuse(allowedOwner, "there is no user %q", clip(name))
		}
	}
	if group != "" {
		if gid, err = lookup(group, func(n string) (string, error) {
			g, err := user.LookupGroup(n)
			if err != nil {
				return "", err
			}
			return g.Gid, nil
		}); err != nil {
			return -1, -1, refuse(allowedOwner, "there is no group %q", clip(group))
		}
	}
	return uid, gid, nil
}

// lookup takes a number as it stands, and a name by way of the host's database.
// The last number is -1 to chown(2) and means "leave it".
func lookup(s string, find func(string) (string, error)) (int, error) {
	if n, err := strconv.ParseUint(s, 10, 32); err == nil && n != 1<<32-1 {
		return int(n), nil
	}
	id, err := find(s)
	if err != nil {
		return -1, err
	}
	return strconv.Atoi(id)
}

// SocketMode is the permission bits of a socket, written "0660"; 0: not given.
type SocketMode uint32

const allowedMode = `"0600" to "0777" with the owner's 6`

// UnmarshalText reads octal digits.
func (m *SocketMode) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 8, 32)
	if err != nil || n > 0o777 || n&0o600 != 0o600 {
		return refuse(allowedMode, "%q is not such a mode", clip(string(text)))
	}
	*m = SocketMode(n)
	return nil
}

// MarshalText writes four octal digits.
func (m SocketMode) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%04o", uint32(m)), nil }

// ShellWord writes s so that a shell takes it for one word.
func ShellWord(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-+@:/,=", r)
	}
	if s != "" && s[0] != '-' && !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
