package config

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Xen says how hostd works with Xen, where it runs in dom0.
type Xen struct {
	Follow   bool   // follow its domains in xenstore
	Socket   string // of xenstored, or its device; "": whichever is there
	Unlisted bool   // serve domains that have no policy, too
}

func defaultXen() Xen { return Xen{Follow: true} }

func (x *Xen) fields() fields {
	return fields{
		"follow": boolean(&x.Follow),
		"socket": text(&x.Socket, func(s string) error {
			if s == "" {
				return nil
			}
			return checkSocketPath(s)
		}),
		"unlisted": boolean(&x.Unlisted),
	}
}

// maxDomainID is the last domain id of a guest: those from 0x7ff0 on are Xen's own
// (DOMID_FIRST_RESERVED, xen/include/public/xen.h).
const maxDomainID = 0x7ff0 - 1

const allowedDomainKey = "the name of a Xen domain, its UUID in lower case, or its domid: 1 to 32751"

// checkDomainKey says what is wrong with what names a domain of Xen's. Digits alone
// are a domid, as they are to xl.
func checkDomainKey(key string) error {
	switch {
	case key == "":
		return refuse(allowedDomainKey, "no domain is named")
	case digits(key):
		if n, err := strconv.ParseUint(key, 10, 16); err != nil || n == 0 || n > maxDomainID || key[0] == '0' {
			return refuse(allowedDomainKey, "%q is no guest's domid", clip(key))
		}
		return nil
	case IsUUID(strings.ToLower(key)) && !IsUUID(key):
		return refuse(allowedDomainKey, "the UUID %q is not in lower case", key)
	case !utf8.ValidString(key) || CheckDomainName(key) != nil:
		return refuse(allowedDomainKey, "%q names no domain", clip(key))
	}
	return nil
}

func digits(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}
