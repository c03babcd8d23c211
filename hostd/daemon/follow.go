package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"time"

	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/kvm/libvirt"
)

// follow is how hostd follows libvirt, and what it was told by its hook.
type follow struct {
	changed  token             // the configuration wants it otherwise
	follower *libvirt.Follower // nil: it does not follow
	status   control.LibvirtStatus
	calls    uint64 // of the hook
	lastCall time.Time
}

// followLibvirt is the task that follows libvirt as long as the configuration wants
// it. That libvirt is away, or not installed, is no error.
func (d *Daemon) followLibvirt(ctx context.Context) error {
	return d.follow.changed.each(ctx, func(ctx context.Context) {
		if f := d.follower(); f != nil {
			_ = f.Run(ctx) // it ends with its context alone
		}
		<-ctx.Done()
		d.unfollowed()
	})
}

func (d *Daemon) unfollowed() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.follow.status = control.LibvirtStatus{}
}

// follower makes the follower that the configuration wants; nil: none.
func (d *Daemon) follower() *libvirt.Follower {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.follow.follower = nil
	if d.config.Libvirt.Follow {
		d.follow.follower = &libvirt.Follower{Socket: d.config.Libvirt.Socket, Sink: sink{d}}
	}
	return d.follow.follower
}

// look has libvirt asked about a domain soon. It does not wait.
func (d *Daemon) look(uuid string) {
	d.mu.Lock()
	f := d.follow.follower
	d.mu.Unlock()
	if f != nil {
		f.Look(uuid)
	}
}

// libvirtStatus is called with mu held.
func (d *Daemon) libvirtStatus() control.LibvirtStatus {
	s := d.follow.status
	s.Follow, s.Guests = d.config.Libvirt.Follow, d.config.Libvirt.Guests
	s.HookCalls, s.LastHook = d.follow.calls, d.follow.lastCall
	for _, m := range d.domains {
		if m.served() {
			s.Domains++
		}
		if m.guest != nil { // which tells of them
			continue
		}
		for _, p := range m.problems {
			s.Problems = append(s.Problems, control.DomainProblem{Domain: m.name, Problem: p})
		}
	}
	s.Problems, s.ProblemCount = firstProblems(s.Problems)
	return s
}

// firstProblems are those that are told, and how many there are.
func firstProblems(all []control.DomainProblem) (first []control.DomainProblem, n int) {
	slices.SortFunc(all, func(a, b control.DomainProblem) int {
		return cmp.Or(strings.Compare(a.Domain, b.Domain), strings.Compare(a.Text, b.Text))
	})
	return all[:min(len(all), maxToldProblems)], len(all)
}

// maxToldProblems bounds the status: a mistake in a template is in all domains.
const maxToldProblems = 64

// sink is told of domains by libvirt itself.
type sink struct{ d *Daemon }

var _ libvirt.Sink = sink{}

// Resumed has guestd pushed to. It does not wait.
func (s sink) Resumed(uuid string, fresh bool) { s.d.resumes.add(uuid, fresh) }

// Up takes in that a domain is active.
func (s sink) Up(domain libvirt.Domain, asOf time.Time) {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	if err := control.CheckDomain(domain); err != nil {
		s.d.warn("domain_refused", fmt.Sprintf("%.80q", domain.UUID), err.Error())
		return
	}
	now := time.Now()
	_ = s.d.heard(word{Domain: domain, at: asOf, by: now}, now) // it is in the event log
}

// Down takes in that a domain is not active.
func (s sink) Down(uuid, _ string, asOf time.Time) {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	s.d.over(uuid, 0, asOf, time.Now())
}

// All takes in which domains are active, out of all that there are. Between two of
// them others get their turn. Those that are unknown stay what they were.
func (s sink) All(active []libvirt.Domain, unknown []string, asOf time.Time) {
	s.d.mu.Lock()
	s.d.all(active, unknown, asOf, time.Now())
	s.d.mu.Unlock()
	for _, domain := range active {
		s.Up(domain, asOf)
	}
	s.d.sweep()
}

// Held notes that a domain cannot be followed for the time being.
func (s sink) Held(uuid, name string) {
	s.d.warn("domain_held", config.DomainGuest(name, uuid), "libvirt does not answer about it: a hook or a job of its holds it up; until that ends it is taken for what it was")
}

// Connected notes that libvirt is followed.
func (s sink) Connected(socket, version string) {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	s.d.follow.status = control.LibvirtStatus{Connected: true, Socket: socket, Version: version}
	s.d.event(slog.LevelInfo, "libvirt_connected", "", fmt.Sprintf("following libvirt %s at %s", version, socket))
}

// Lost notes why libvirt is not followed. That a host has none is nothing to worry
// about; that it was there and is gone is.
func (s sink) Lost(err error) {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	level, message := slog.LevelWarn, "libvirt is not followed, and its domains are taken for what they were: "
	if !s.d.follow.status.Connected && errors.Is(err, fs.ErrNotExist) {
		level, message = slog.LevelInfo, "no libvirt is there to be followed; when it comes it will be: "
	}
	s.d.follow.status.Connected, s.d.follow.status.Error = false, err.Error()
	s.d.event(level, "libvirt_lost", "", message+err.Error())
}
