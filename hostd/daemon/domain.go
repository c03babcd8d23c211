package daemon

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/kvm/libvirt"
)

// domain is a domain of libvirt's that runs, or is about to: what of it concerns
// hostd, as it was last told. One that has no device that could be ours and no
// mistake in it is not kept.
type domain struct {
	uuid      string
	name      string
	guestName string    // of the guest that it is
	id        int       // of its QEMU, new with each; 0: not known yet
	uid       int       // of the user that its QEMU runs as; -1: not known yet
	label     string    // SELinux's, of its QEMU's sockets
	starts    time.Time // until when that it goes on may be the start of its QEMU; zero: it may not
	at, by    time.Time // when this was so, at the earliest and at the latest; what is older is not listened to

	policy   config.Policy
	devices  libvirt.Domain    // those that connect to a socket, and no more of it
	pipes    []config.Pipe     // that these connect to, qemu before port before vhost-user
	promised []config.Pipe     // that it will have, a command says
	until    time.Time         // how long the promise is believed
	miswired []string          // what its devices have wrong
	problems []control.Problem // all that is wrong, as it was last said

	guest *guest // that it is, or that stands for it; nil: none
}

// maxProblems bounds what is said of the devices of one domain.
const maxProblems = 16

// take notes what a domain is like now. What is not told of its QEMU stays.
func (m *domain) take(d libvirt.Domain) {
	m.name, m.guestName = d.Name, config.DomainGuest(d.Name, d.UUID)
	if d.ID != 0 {
		m.id = d.ID
	}
	if d.UID != nil {
		m.uid = int(*d.UID)
	}
	if d.Label != "" {
		m.label = d.Label
	}
	m.policy = config.Policy{}
	if p := d.Policy; p != nil {
		m.policy = config.Policy{Class: p.Class, Rate: p.Rate, Weight: p.Weight, Quality: p.Quality, Unknown: p.Unknown}
	}
	m.devices = libvirt.Domain{Name: d.Name, UUID: d.UUID}
	for _, r := range d.RNGs {
		if r.Backend == "egd" && r.Type == "unix" && len(r.Path) <= control.MaxPath {
			m.devices.RNGs = append(m.devices.RNGs, r)
		}
	}
	for _, c := range d.Channels {
		if len(c.Path) <= control.MaxPath {
			m.devices.Channels = append(m.devices.Channels, c)
		}
	}
	for _, v := range d.Vhosts {
		if v.Path != "" && len(v.Path) <= control.MaxPath {
			m.devices.Vhosts = append(m.devices.Vhosts, v)
		}
	}
}

// nothing says whether no device of the domain could be ours.
func (m *domain) nothing() bool {
	return len(m.devices.RNGs)+len(m.devices.Channels)+len(m.devices.Vhosts) == 0
}

// expected are the pipes that the domain has or is said to get.
func (m *domain) expected(now time.Time) []config.Pipe {
	if now.After(m.until) {
		m.promised = nil
	}
	pipes := slices.Clone(m.pipes)
	for _, p := range m.promised {
		if !slices.Contains(pipes, p) {
			pipes = append(pipes, p)
		}
	}
	return pipes
}

// wiring finds the pipes that a domain's devices connect to, and what of its
// devices is meant for hostd and does not reach it. A path is ours if it is in the
// folder of the domains' sockets, and a domain's own if it has its name: another's
// would be another guest's entropy. The operator may have written a guest of its
// name with pipes elsewhere; those are its own, too.
func wiring(l config.Libvirt, d libvirt.Domain, named *guest) (pipes []config.Pipe, wrong []string) {
	name := config.DomainGuest(d.Name, d.UUID)
	look := func(kind, what, mend, own, path string, meets bool, flaw string) {
		at := [2]string{"connects to", "to"}
		if kind == config.VhostUser {
			at = [2]string{"is at", "at"}
		}
		mends := fmt.Sprintf("hostd libvirt attach %s %s mends it", config.ShellWord(d.Name), mend)
		said := func(format string, args ...any) {
			if len(wrong) < maxProblems {
				wrong = append(wrong, fmt.Sprintf("its %s %s: %s", what, fmt.Sprintf(format, args...), mends))
			}
		}
		if named != nil && named.serves(kind, path) {
			own = path
		}
		p, err := config.ParsePipe(kind + ":" + own)
		switch {
		case path != own:
			if strings.HasPrefix(plain(path), plain(l.Guests)+"/") {
				said("%s %.120q, and not %s its own socket %s", at[0], path, at[1], own)
			}
		case err != nil:
			mends = "give libvirt.guests a shorter path in hostd's configuration, or the domain a shorter name"
			said("cannot connect: %v", err)
		case !meets:
			said("at %s %s", own, flaw)
		case slices.Contains(pipes, p):
			said("is there twice: one client is served at %s", own)
		default:
			pipes = append(pipes, p)
			if flaw != "" {
				said("%s", flaw)
			}
		}
	}
	for _, r := range d.RNGs {
		if r.Backend == "egd" && r.Type == "unix" {
			look("qemu", "rng device", "--replace", l.GuestSocket(name), r.Path, r.Mode == "connect", r.Flaw())
		}
	}
	for _, c := range d.Channels {
		look("port", "channel", "--port --replace", l.GuestPort(name), c.Path, c.Mode == "connect", c.Flaw())
	}
	for _, v := range d.Vhosts {
		meets, flaw := v.Server, v.Flaw()
		if named != nil && named.listens(v.Path) {
			if meets, flaw = !v.Server, ""; v.Server {
				flaw = "waits there itself, where hostd does"
			}
		}
		look(config.VhostUser, "vhost-user device", "--vhost-user --replace", l.GuestVhost(name), v.Path, meets, flaw)
	}
	return pipes, wrong
}

// listens says whether the guest has a pipe at a path at which hostd listens.
func (g *guest) listens(path string) bool {
	o := g.at(path)
	return o != nil && o.Listens()
}

// plain is a path without detours, of which /var/run is one on every distribution.
func plain(path string) string {
	path = filepath.Clean(path)
	if rest, ok := strings.CutPrefix(path, "/var/run/"); ok {
		return "/run/" + rest
	}
	return path
}

// served says whether the domain's guest, if it has one, is there for a device of it.
func (m *domain) served() bool {
	return m.guest != nil && slices.ContainsFunc(slices.Concat(m.pipes, m.promised), func(p config.Pipe) bool { return m.guest.at(p.Path) != nil })
}

// connected says whether its guest is.
func (m *domain) connected() bool { return m.guest != nil && m.guest.connected() }

func (m *domain) status() *control.DomainStatus {
	return &control.DomainStatus{Name: m.name, UUID: m.uuid, ID: m.id, Problems: slices.Clone(m.problems)}
}

// lastProblem is one that is there, for whom it keeps from something.
func (m *domain) lastProblem() string {
	if n := len(m.problems); n > 0 {
		return m.problems[n-1].Text
	}
	return "hostd events says why"
}

func (m *domain) String() string {
	if config.CheckName(m.name) == nil {
		return m.name
	}
	return strconv.Quote(m.name)
}
