package libvirt

import (
	"os/user"
	"strconv"
	"strings"

	"libvirt.org/go/libvirtxml"
)

// MaxLabel is the longest security label, in bytes: VIR_SECURITY_LABEL_BUFLEN of
// libvirt-host.h.
const MaxLabel = 4096

// takeLabel reads a <seclabel> of the domain. A dynamic one has its labels from the
// start hook on, a static one always.
func (r *reader) takeLabel(s libvirtxml.DomainSecLabel) {
	switch s.Model {
	case "dac":
		if r.UID == nil {
			r.UID = uidOf(strings.TrimSpace(s.Label))
		}
	case "selinux":
		label := strings.TrimSpace(s.ImageLabel)
		if r.Label == "" && len(label) <= MaxLabel {
			r.Label = label
		}
	}
}

// uidOf is the user of a DAC label: "+64055:+64055" as libvirt draws them, or what
// an operator wrote, by number or by name; nil: there is no such user.
func uidOf(label string) *uint32 {
	name, _, _ := strings.Cut(label, ":")
	if name == "" || len(name) > MaxValue {
		return nil
	}
	digits, numeric := strings.CutPrefix(name, "+")
	if uid := number(digits); uid != nil || numeric {
		return uid
	}
	if u, err := user.Lookup(name); err == nil {
		return number(u.Uid)
	}
	return nil
}

func number(s string) *uint32 {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == 1<<32-1 { // (uid_t)-1 is nobody: chown(2) leaves the owner alone
		return nil
	}
	uid := uint32(n)
	return &uid
}
