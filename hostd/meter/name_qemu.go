package meter

import (
	"bytes"
	"path"
	"strings"
)

// maxCommand bounds what is read of a command line, in bytes. libvirt's are some ten
// thousand long, and name the guest first.
const maxCommand = 64 << 10

// domainIn finds in a process's command line, arguments with a 0 after each, whether it
// is a QEMU, and what that is called by its -name. comm is the process's name, for one
// that has no arguments to be seen.
func domainIn(command []byte, comm string) (domain string, qemu bool) {
	// What follows the last 0 is nothing, or cut off: it may be another name's beginning.
	next := func() (arg []byte, whole bool) {
		arg, command, whole = bytes.Cut(command, []byte{0})
		return arg, whole
	}
	first, more := next()
	if !isQEMU(path.Base(string(first))) && !isQEMU(comm) {
		return "", false
	}
	for more {
		var arg []byte
		if arg, more = next(); more && (string(arg) == "-name" || string(arg) == "--name") { // lookup_opt, system/vl.c: both are meant
			if arg, more = next(); !more {
				break
			}
			if name, found := guestIn(string(arg)); found {
				domain = name // the last one wins
			}
		}
	}
	return clean(domain[:min(len(domain), maxName)]), true
}

// isQEMU knows the names that distributions have for it. A comm is cut off after 15
// bytes, "qemu-system-x86".
func isQEMU(name string) bool {
	return strings.HasPrefix(name, "qemu-system-") || name == "qemu-kvm" || name == "kvm"
}

// guestIn reads the value of -name: options with a comma between, of which the first
// needs no key. A comma that is part of a value is doubled (get_opt_value,
// util/qemu-option.c).
func guestIn(value string) (name string, found bool) {
	for first := true; value != ""; first = false {
		key, isKey := "guest", first
		if i := strings.IndexAny(value, "=,"); i >= 0 && value[i] == '=' {
			key, value, isKey = value[:i], value[i+1:], true
		}
		var text string
		text, value = option(value)
		if isKey && key == "guest" {
			name, found = text, true
		}
	}
	return name, found
}

// option takes a value off, up to its single comma.
func option(s string) (text, rest string) {
	var b bytes.Buffer
	for i := 0; i < len(s); i++ {
		if s[i] == ',' {
			if i+1 == len(s) || s[i+1] != ',' {
				return b.String(), s[i+1:]
			}
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String(), ""
}
