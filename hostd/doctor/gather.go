package doctor

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"headgate/hostd/control"
	"headgate/kvm/libvirt"
)

// Host is where the facts are.
type Host struct {
	Root    string // before every path that is looked at; "" but in tests
	Hooks   string // folder of libvirt's hooks
	Control string // socket of hostd, as it is to be called
	Guests  string // folder of the domains' sockets, if hostd does not say

	Status  func(context.Context) (control.Status, error) // asks hostd
	Libvirt Asked                                         // nil: LibvirtErr says why
	// LibvirtErr is why libvirt cannot be asked.
	LibvirtErr error
}

// Asked is what is asked of libvirt: *libvirt.Conn.
type Asked interface {
	Version() (string, error)
	Domains(ctx context.Context, all bool) ([]libvirt.Info, error)
	XML(ctx context.Context, uuid string, inactive bool) ([]byte, error)
}

// Where AppArmor's policy is.
const (
	policyDir   = "/etc/apparmor.d"
	localGuests = policyDir + "/local/abstractions/libvirt-qemu"
)

// maxPolicy bounds a file of rules or a script, in bytes.
const maxPolicy = 256 << 10

// Gather looks at everything once.
func Gather(ctx context.Context, h Host) Facts {
	f := Facts{Hostd: Hostd{Control: h.Control}, Guests: h.Guests, SELinux: h.seLinux()}
	f.Hostd.Status, f.Hostd.Err = h.Status(ctx)
	f.Libvirt = h.libvirt()
	f.Hook = h.hook()
	f.AppArmor = h.appArmor(f.unit())
	f.Denials = h.denials(f.guests(), f.Hook.Program)
	if h.Libvirt != nil && f.Libvirt.Err == nil {
		f.Domains, f.Libvirt.Err = h.domains(ctx)
	}
	return f
}

func (h Host) path(p string) string { return filepath.Join(h.Root, p) }

// read gives a file's text; "" where there is none.
func (h Host) read(path string) string {
	data, err := tail(h.path(path), maxPolicy)
	if err != nil {
		return ""
	}
	return string(data)
}

func (h Host) libvirt() Libvirt {
	l := Libvirt{Err: h.LibvirtErr}
	if h.Libvirt != nil {
		l.Version, l.Err = h.Libvirt.Version()
	}
	// virtqemud has the QEMU driver where both run (libvirt.org/daemons.html).
	for _, name := range []string{"virtqemud", "libvirtd"} {
		// virPidFileConstructPath: the file is written when the daemon starts.
		path := "/run/" + name + ".pid"
		info, err := os.Stat(h.path(path))
		if err != nil {
			continue
		}
		pid := strings.TrimSpace(h.read(path))
		if comm, err := os.ReadFile(h.path("/proc/" + pid + "/comm")); err == nil && strings.TrimSpace(string(comm)) == name {
			l.Daemon, l.Started = name, info.ModTime()
			break
		}
	}
	return l
}

func (h Host) seLinux() string {
	switch h.read("/sys/fs/selinux/enforce") {
	case "1":
		return "enforcing"
	case "0":
		return "permissive"
	}
	return ""
}

// denials reads the kernel's log, and the file of the audit daemon, which takes
// the records from there. Who may not read them does without.
func (h Host) denials(guests, program string) []Denial {
	kernel, _ := kernelLog(h.path("/dev/kmsg"))
	audit, _ := tail(h.path("/var/log/audit/audit.log"), maxAuditLog)
	return append(denialsIn(kernel, guests, program), denialsIn(audit, guests, program)...)
}
