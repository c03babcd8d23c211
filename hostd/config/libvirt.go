package config

import "strings"

// Libvirt says how hostd works with libvirt.
type Libvirt struct {
	Follow bool   // follow its domains over its socket
	Socket string // of libvirt; "": whichever is there
	Guests string // folder of the domains' sockets
	PIDs   string // folder in which libvirt keeps the process ids of its QEMUs
}

func defaultLibvirt() Libvirt {
	return Libvirt{Follow: true, Guests: "/run/headgate/guests", PIDs: "/run/libvirt/qemu"}
}

// maxGuestsPath is the longest folder of domains' sockets, in bytes: the socket of
// a domain that goes by its UUID, of 36 characters, must have a path in it.
const maxGuestsPath = maxSocketPath - len("/") - 36 - len(vhostSocket)

// vhostSocket follows a domain's name in the path of its vhost-user pipe. It has a
// folder to itself, for its QEMU makes it and may make nothing beside the others.
const vhostSocket = VhostFolder + "/sock"

func (l *Libvirt) fields() fields {
	return fields{
		"follow": boolean(&l.Follow),
		"socket": text(&l.Socket, func(s string) error {
			if s == "" {
				return nil
			}
			return checkSocketPath(s)
		}),
		"guests": text(&l.Guests, func(s string) error { return checkPath(s, maxGuestsPath) }),
		"pids":   text(&l.PIDs, checkFilePath),
	}
}

// DomainGuest is the name of the guest that a domain is: its own, or its UUID where
// the name cannot be a guest's. A name that looks like a UUID could be taken for
// another domain's, and is not used either.
func DomainGuest(name, uuid string) string {
	if CheckName(name) == nil && !IsUUID(strings.ToLower(name)) {
		return name
	}
	return uuid
}

// IsUUID says whether s is a UUID as libvirt and Xen's tools write it: lower case, with dashes.
func IsUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case c < '0' || c > '9' && c < 'a' || c > 'f':
			return false
		}
	}
	return true
}

// CheckDomainName says what is wrong with the name of a domain. libvirt names files
// after it, so that it has no / in it, and no more bytes than a file's
// name (NAME_MAX, linux/limits.h).
func CheckDomainName(name string) error {
	const allowed = "the name of a domain: 1 to 255 bytes without / and control characters"
	switch {
	case name == "":
		return refuse(allowed, "no name is given")
	case len(name) > 255:
		return refuse(allowed, "%q is %d bytes long", clip(name), len(name))
	case strings.ContainsFunc(name, func(r rune) bool { return r == '/' || r < ' ' || r == 0x7f }):
		return refuse(allowed, "%q is not such a name", clip(name))
	}
	return nil
}

// GuestSocket is the path of a domain's qemu pipe.
func (l Libvirt) GuestSocket(guest string) string { return l.Guests + "/" + guest + ".sock" }

// GuestPort is the path of a domain's port pipe.
func (l Libvirt) GuestPort(guest string) string { return l.Guests + "/" + guest + ".port" }

// GuestVhost is the path of a domain's vhost-user pipe.
func (l Libvirt) GuestVhost(guest string) string { return l.Guests + "/" + guest + vhostSocket }

// VhostFolder is what follows a domain's name in that of the folder that its
// vhost-user pipe has in Guests.
const VhostFolder = ".vhost"

// PIDFile is where libvirt keeps the process id of a domain's QEMU: it writes the
// name as in XML (virPidFileBuildPath, src/util/virpidfile.c). The file of the bare
// name is not looked at: it could be that of another domain.
func (l Libvirt) PIDFile(domain string) string {
	return l.PIDs + "/" + escaped.Replace(domain) + ".pid"
}

// escaped is what virBufferEscapeString makes of the characters that
// CheckDomainName lets through (src/util/virbuffer.c).
var escaped = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&apos;")
