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
// hostd, as it was last told. One that has no device of ours and no mistake in it
// is not kept.
type domain struct {
	uuid      string
	name      string
	guestName string    // of the guest that it is
	id        int       // of its QEMU, new with each; 0: not known yet
	uid       int       // of the user that its QEMU runs as; -1: not known yet
	label     string    // SELinux's, of its QEMU's sockets
	at        time.Time // when this was so; what is older is not listened to

	policy   config.Policy
	pipes    []config.Pipe // that its devices connect to, qemu before port
	promised []config.Pipe // that it will have, a command says
	until    time.Time     // how long the promise is believed
	miswired []string      // what its devices have wrong
	problems []problem     // all that is wrong, as it was last said

	guest *guest // that it is, or that stands for it; nil: none
}

// problem is something wrong with a domain, and the kind of the event that says so.
type problem struct{ kind, text string }

// Bounds of a domain's texts, which are somebody else's.
const (
	maxLabel    = 4095 // bytes; an SELinux label is at most a page (security/selinux/hooks.c)
	maxValue    = 128  // bytes of a value of the policy
	maxUnknown  = 16
	maxProblems = 16
)

// take notes what a domain is like now. What is not told of its QEMU stays.
func (m *domain) take(l config.Libvirt, d libvirt.Domain) {
	m.name, m.guestName = d.Name, config.DomainGuest(d.Name, d.UUID)
	if d.ID != 0 {
		m.id = d.ID
	}
	if d.UID != nil {
		m.uid = int(*d.UID)
	}
	if d.Label != "" && len(d.Label) <= maxLabel {
		m.label = d.Label
	}
	m.policy = policyOf(d.Policy)
	m.pipes, m.miswired = wiring(l, d)
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

func policyOf(p *libvirt.Policy) config.Policy {
	if p == nil {
		return config.Policy{}
	}
	short := func(s string) string {
		if len(s) <= maxValue {
			return s
		}
		return strings.ToValidUTF8(s[:maxValue], "") + "…" // wrong, as it was
	}
	policy := config.Policy{Class: short(p.Class), Rate: short(p.Rate), Weight: short(p.Weight), Quality: short(p.Quality)}
	for _, u := range p.Unknown[:min(len(p.Unknown), maxUnknown)] {
		policy.Unknown = append(policy.Unknown, short(u))
	}
	return policy
}

// wiring finds the pipes that a domain's devices connect to, and what of its
// devices is meant for hostd and does not reach it. A path is ours if it is in the
// folder of the domains' sockets, and a domain's own if it has its name: another's
// would be another guest's entropy.
func wiring(l config.Libvirt, d libvirt.Domain) (pipes []config.Pipe, wrong []string) {
	name := config.DomainGuest(d.Name, d.UUID)
	look := func(kind, what, own, path, mode string, reconnect int) {
		said := func(format string, args ...any) {
			if len(wrong) < maxProblems {
				wrong = append(wrong, fmt.Sprintf("its %s %s: hostd libvirt attach %s --replace mends it",
					what, fmt.Sprintf(format, args...), argument(d.Name)))
			}
		}
		p, err := config.ParsePipe(kind + ":" + own)
		switch {
		case path != own:
			if strings.HasPrefix(filepath.Clean(path), l.Guests+"/") {
				said("connects to %.120q, and not to its own socket %s", path, own)
			}
		case err != nil:
			said("cannot connect: %v", err)
		case mode != "connect":
			said("waits at %s itself (mode %.20q), where hostd does", own, mode)
		case slices.Contains(pipes, p):
			said("is there twice: one client is served at %s", own)
		default:
			pipes = append(pipes, p)
			if reconnect == 0 {
				said("does not reconnect, and gets nothing once hostd was restarted")
			}
		}
	}
	for _, r := range d.RNGs {
		if r.Backend == "egd" && r.Type == "unix" {
			look("qemu", "rng device", l.GuestSocket(name), r.Path, r.Mode, r.Reconnect)
		}
	}
	for _, c := range d.Channels {
		look("port", "channel", l.GuestPort(name), c.Path, c.Mode, c.Reconnect)
	}
	return pipes, wrong
}

// argument is a text as a shell takes it for one word.
func argument(s string) string {
	if config.CheckName(s) == nil {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func (m *domain) status() *control.DomainStatus {
	s := &control.DomainStatus{Name: m.name, UUID: m.uuid, ID: m.id}
	for _, p := range m.problems {
		s.Problems = append(s.Problems, p.text)
	}
	return s
}

// lastProblem is one that is there, for whom it keeps from something.
func (m *domain) lastProblem() string {
	if n := len(m.problems); n > 0 {
		return m.problems[n-1].text
	}
	return "hostd events says why"
}

func (m *domain) String() string {
	if config.CheckName(m.name) == nil {
		return m.name
	}
	return strconv.Quote(m.name)
}
