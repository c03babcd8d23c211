package doctor

import (
	"io/fs"
	"slices"
	"strings"
	"time"

	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/kvm/libvirt"
)

// Facts are what there is to judge, as one look at the host found it.
type Facts struct {
	Hostd    Hostd
	Libvirt  Libvirt
	Hook     Hook
	AppArmor AppArmor
	SELinux  string // enforcing, permissive, or "" where the kernel has it not
	Denials  []Denial
	Guests   string   // folder of the domains' sockets, if hostd does not say
	Domains  []Domain // in the order of their names
}

// Hostd is the daemon, asked over its control socket.
type Hostd struct {
	Control string
	Status  control.Status
	Err     error // why it does not answer
}

// Libvirt is the daemon of libvirt, asked over its own socket.
type Libvirt struct {
	Version string
	Err     error     // why it could not be asked
	Daemon  string    // the program that runs: libvirtd or virtqemud; "": not seen
	Started time.Time // when that one was
}

// Hook is the script that tells hostd of domains.
type Hook struct {
	Path       string
	Mode       fs.FileMode // 0: it is not there
	Changed    time.Time   // when it was last written, or made executable
	Program    string      // the hostd that it calls; "": it calls none
	ProgramErr error       // why that one cannot be run
	Other      time.Time   // since when there is another hook of libvirt's QEMU driver; zero: none
}

// AppArmor is the part of its policy that has a say here, "" where a file is not
// there.
type AppArmor struct {
	Enabled bool     // the kernel has it
	Driver  bool     // libvirt is set up to confine domains with it
	Guests  []Policy // the files that every domain's profile includes
	Daemon  []Policy // the profile of libvirt's daemon with what it includes
}

// Policy is a file of AppArmor rules.
type Policy struct{ Path, Text string }

// Denial is a line of the kernel's log: AppArmor or SELinux has denied something.
type Denial struct {
	Time time.Time
	Text string
}

// Domain is one of libvirt's.
type Domain struct {
	libvirt.Domain
	Active   bool
	Err      error           // why its XML could not be had; then only Name and UUID are known
	Next     *libvirt.Domain // as it is from its next start on, of one that runs; nil: not known, or it has none
	Confined bool            // it runs, and AppArmor confines it
	QEMU     User
	Ways     map[string]Way // to each of the sockets that it names
}

// User is who a QEMU runs as.
type User struct {
	Name string // "" if the number has none
	UID  uint32
	GIDs []uint32
}

// Way is a path as stat shows it, one step after the other, from the root to the
// end or as far as it goes.
type Way struct {
	Steps []Step
	Err   error // why it ends before the end
}

// Step is one folder on the way, or the end of it.
type Step struct {
	Path string
	Mode fs.FileMode
	UID  uint32
	GID  uint32
}

// guests is the folder of the domains' sockets.
func (f Facts) guests() string {
	if g := f.Hostd.Status.Libvirt.Guests; g != "" {
		return g
	}
	return f.Guests
}

// pipe finds what hostd has at that path.
func (f Facts) pipe(path string) (g control.GuestStatus, p control.PipeStatus, found bool) {
	for _, g := range f.Hostd.Status.Guests {
		for _, p := range g.Pipes {
			if p.Path == path {
				return g, p, true
			}
		}
	}
	return g, p, false
}

// owner finds the other domain whose socket the path is.
func (f Facts) owner(path string, not Domain) (name string, found bool) {
	own := config.Libvirt{Guests: f.guests()}
	for _, d := range f.Domains {
		guest := config.DomainGuest(d.Name, d.UUID)
		if d.UUID != not.UUID && slices.Contains([]string{own.GuestSocket(guest), own.GuestPort(guest), own.GuestVhost(guest)}, path) {
			return d.Name, true
		}
	}
	return "", false
}

// below tells whether path is in folder.
func below(path, folder string) bool { return strings.HasPrefix(path, folder+"/") }
