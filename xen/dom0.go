package xen

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// featureDom0 is the bit of XENFEAT_dom0 (xen/include/public/features.h).
const featureDom0 = 1 << 11

var (
	errNoXen  = errors.New("this system does not run on Xen")
	errNotOne = errors.New("this is a guest of Xen's, not domain 0: hostd belongs there, and guestd here")
)

// Dom0 returns nil if this system is domain 0 of a Xen host, else what it is.
func Dom0() error { return dom0(os.DirFS("/")) }

func dom0(root fs.FS) error {
	// drivers/xen/xenfs/super.c: of domain 0 it has control_d, of others nothing. It is
	// there only where somebody has mounted xenfs.
	if text, err := fs.ReadFile(root, "proc/xen/capabilities"); err == nil && len(text) > 0 {
		if strings.Contains(string(text), "control_d") {
			return nil
		}
		return errNotOne
	}
	kind, err := fs.ReadFile(root, "sys/hypervisor/type")
	if err != nil || strings.TrimSpace(string(kind)) != "xen" {
		return errNoXen
	}
	// drivers/xen/sys-hypervisor.c writes the words of the features in hex, the first
	// one last.
	text, _ := fs.ReadFile(root, "sys/hypervisor/properties/features")
	word := strings.TrimSpace(string(text))
	word = word[max(0, len(word)-8):]
	features, err := strconv.ParseUint(word, 16, 32)
	if err != nil || features&featureDom0 == 0 {
		return errNotOne
	}
	return nil
}
