package command

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"headgate/hostd/config"
	"headgate/kvm/libvirt"
)

// wiring is what a domain is to have.
type wiring struct {
	rng     device  // of the domain's bytes: an rng device, or a vhost-user-rng device
	port    *device // nil: it is not asked for
	policy  policyFlags
	replace bool // take out its other devices of that kind
	live    bool // it is for the domain that runs
	own     ends // sockets of the domain's
}

// wiringOf gives what connects a domain to its guest at these sockets.
func wiringOf(at ends, port, vhost bool) (w wiring, err error) {
	w.own = at
	if vhost {
		w.rng.Vhost = &libvirt.Vhost{Path: at.vhost, Server: true, Wait: true}
		_, err = libvirt.VhostXML(at.vhost)
	} else {
		w.rng, err = rngAt(at.rng)
	}
	if err != nil || !port {
		return w, err
	}
	text, err := libvirt.ChannelXML(at.port)
	if err != nil {
		return w, err
	}
	d, err := deviceOf(text)
	w.port = &d
	return w, err
}

func rngAt(socket string) (device, error) {
	text, err := libvirt.RNGXML(socket)
	if err != nil {
		return device{}, err
	}
	return deviceOf(text)
}

// plan is what has to be done to one definition of a domain.
type plan struct {
	steps []step
	notes []string // what is not right, and stays so
}

// step is one change. An optional one may fail: what was asked for is done then,
// but not all that would be good.
type step struct {
	act      act
	device   device         // of plug and unplug
	policy   libvirt.Policy // of setPolicy
	optional bool
}

type act int

const (
	plug act = iota
	unplug
	setPolicy
	dropPolicy
	rewire // a vhost-user device comes
	unwire // or goes; both by another definition of the domain
)

// planAttach plans how a domain that has these devices and that policy gets w.
// The policy is first, so that the guest never has another's limits. What is in the
// way goes before the device comes, what is merely too much last: better two for a
// moment than none.
func planAttach(name string, have []device, policy *libvirt.Policy, w wiring) plan {
	var p plan
	if next := w.policy.over(fromXML(policy)); next != nil {
		p.add(step{act: setPolicy, policy: toXML(*next)})
	}
	again := "hostd libvirt attach " + config.ShellWord(name) + " --replace"
	if w.rng.Vhost != nil {
		again += " --vhost-user"
	}
	state, others := judge(have, w.rng)
	var surplus []device
	completes := false
	for _, d := range others {
		switch {
		case state != flawed || d.socket() != w.rng.socket():
			surplus = append(surplus, d)
		case lacksMemory(d):
			completes = true // it stays
		case w.replace:
			p.add(out(d))
		default:
			p.note("the %v %s; mend it: %s", d, d.flaw(), again)
		}
	}
	if state == missing || state == flawed && w.replace || completes {
		p.add(in(w.rng))
	}
	if w.port != nil {
		p.wirePort(have, w, again)
	}
	for _, d := range surplus {
		switch {
		case w.live && d.Vhost != nil:
			p.note("%s has another %v too, which goes with its next start alone", printable(name), d)
		case w.replace || w.rng.Vhost != nil && d.socket() == w.own.rng:
			s := out(d)
			s.optional = true
			p.add(s)
		default:
			p.note("%s has another %v too, and a guest's kernel uses one alone; take the other out: %s", printable(name), d, again)
		}
	}
	return p
}

// wirePort plans the port. QEMU takes no second one of its name.
func (p *plan) wirePort(have []device, w wiring, again string) {
	state, others := judge(have, *w.port)
	if state == sound {
		return
	}
	for _, d := range others {
		if !w.replace {
			p.note("there is a %v already; put the right one in its place: %s --port", d, again)
			return
		}
		p.add(step{act: unplug, device: d})
	}
	p.add(step{act: plug, device: *w.port})
}

// planDetach plans how a domain gets rid of all that is ours: what is at a socket
// in the folder of the domains', whichever of them it is.
func planDetach(have []device, policy *libvirt.Policy, guests string, live bool) plan {
	var p plan
	for _, d := range have {
		switch {
		case !strings.HasPrefix(filepath.Clean(d.socket()), guests+"/"):
		case d.Vhost != nil && live:
			p.note("the %v cannot go while the domain runs", d)
		default:
			p.add(out(d))
			if d.Vhost != nil {
				p.note("the domain's memory stays shared: if nothing else needs that, take <access> and <source> out of its <memoryBacking>")
			}
		}
	}
	if policy != nil {
		p.add(step{act: dropPolicy})
	}
	return p
}

func (p *plan) add(s step) { p.steps = append(p.steps, s) }

func (p *plan) note(format string, args ...any) {
	p.notes = append(p.notes, fmt.Sprintf(format, args...))
}

// How a domain has a device.
const (
	missing = iota
	flawed
	sound
)

// judge tells how a domain has the device that is wanted, and gives its others of
// that kind, flawed ones among them.
func judge(have []device, want device) (state int, others []device) {
	for _, d := range have {
		if (d.Channel != nil) != (want.Channel != nil) {
			continue
		}
		if d.socket() == want.socket() && state != sound {
			if state = flawed; d.flaw() == "" {
				state = sound
				continue
			}
		}
		others = append(others, d)
	}
	return state, others
}

// plugs tells whether QEMU will connect where it did not before.
func (p plan) plugs() bool {
	return slices.ContainsFunc(p.steps, func(s step) bool { return s.act == plug })
}

// after gives the domain as it is to be when the steps are done.
func (p plan) after(d libvirt.Domain) libvirt.Domain {
	d.RNGs, d.Channels = slices.Clone(d.RNGs), slices.Clone(d.Channels)
	for _, s := range p.steps {
		switch rng, port := s.device.RNG, s.device.Channel; {
		case s.act == plug && rng != nil:
			d.RNGs = append(d.RNGs, *rng)
		case s.act == plug:
			d.Channels = append(d.Channels, *port)
		case s.act == unplug && rng != nil:
			d.RNGs = without(d.RNGs, *rng)
		case s.act == unplug:
			d.Channels = without(d.Channels, *port)
		case s.act == setPolicy:
			d.Policy = &s.policy
		}
	}
	return d
}

// without takes one of those that are like it out.
func without[T comparable](all []T, one T) []T {
	if i := slices.Index(all, one); i >= 0 {
		return slices.Delete(all, i, i+1)
	}
	return all
}
