package doctor

import (
	"fmt"
	"slices"
	"strings"

	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/hostd/meter"
)

// guarded judges whether the kernel keeps hostd from the network.
func guarded(f Facts) []Finding { return f.Hostd.guarded() }

func (h Hostd) guarded() []Finding {
	g := h.Status.Guard
	switch {
	case h.Err != nil || g.Mode == "":
		return nil // it does not answer, or is older than its guard
	case g.Mode == config.GuardOff:
		return []Finding{note("hostd", `set guard = "on" in `+h.file()+", then: "+restartHostd, "its network guard is off: nothing counts who tries to reach the network from it")}
	case !g.Up, g.Error != "":
		return []Finding{note("hostd", "mend that, then: "+restartHostd, "its network guard is not up, or not whole: %s", g.Error)}
	case g.Refused.Inet > 0 || g.Refused.Inet6 > 0:
		return []Finding{note("hostd", "hostd events | grep guard_refused", "it was refused sockets of the network: %d inet, %d inet6", g.Refused.Inet, g.Refused.Inet6)}
	}
	return []Finding{good("hostd", "its network guard is up, and nobody has tried")}
}

// file is the configuration of the daemon that runs.
func (h Hostd) file() string {
	if h.Status.Config == "" {
		return "its configuration"
	}
	return h.Status.Config
}

// past finds what the domain's QEMU has of this host's devices past hostd.
func (f Facts) past(d Domain) (u control.Unmetered, found bool) {
	all := f.Hostd.Status.Meter.Unmetered
	is := func(u control.Unmetered) bool { return d.Active && u.Domain == d.Name }
	// One that only says so may be anybody.
	i := slices.IndexFunc(all, func(u control.Unmetered) bool { return is(u) && u.Vouched })
	if i < 0 {
		i = slices.IndexFunc(all, is)
	}
	if i < 0 {
		return u, false
	}
	return all[i], true
}

// taken is the evidence that a device of the domain's reads a path: how much it was.
func (f Facts) taken(d Domain, path string) string {
	u, found := f.past(d)
	if !found || !slices.Contains(u.Ways, wayOf(path)) {
		return ""
	}
	return ": " + sofar(u)
}

func sofar(u control.Unmetered) string { return fmt.Sprintf("%d bytes so far, not metered", u.Bytes) }

// wayOf is how the meter calls a device.
func wayOf(path string) meter.Way {
	if path == "/dev/hw_random" { // its old name
		return meter.HWRNG
	}
	return meter.Way(strings.TrimPrefix(path, "/dev/"))
}

// unseen is what the domain's QEMU reads though its XML has no such device: arguments
// under qemu:commandline, or a device that was plugged in past libvirt.
func (f Facts) unseen(d Domain) []Finding {
	u, found := f.past(d)
	if !found {
		return nil
	}
	u.Ways = slices.DeleteFunc(slices.Clone(u.Ways), func(way meter.Way) bool {
		for _, r := range d.RNGs {
			if r.Backend == "random" && wayOf(r.Path) == way {
				return true // which has its own finding
			}
		}
		return false
	})
	if len(u.Ways) == 0 {
		return nil
	}
	remedy := "virsh edit " + config.ShellWord(d.Name) + "    # an rng-random under qemu:commandline; then: hostd libvirt attach " + config.ShellWord(d.Name)
	who := "its QEMU"
	if !u.Vouched { // anybody may call itself so
		who = u.String()
	}
	return []Finding{bypass(u, "", remedy, "%s reads %s of the host itself, which is in no rng of its XML: %s", who, u.Devices(), sofar(u))}
}

// strangers are QEMUs that are no domain of libvirt's and read a device of this host.
func strangers(f Facts) (found []Finding) {
	for _, u := range f.Hostd.Status.Meter.Unmetered {
		if slices.ContainsFunc(f.Domains, func(d Domain) bool { p, is := f.past(d); return is && p.PID == u.PID }) {
			continue
		}
		found = append(found, bypass(u, "guest", "hostd guest add NAME --pipe qemu:"+f.guests()+"/NAME.sock    # and start it with an rng-egd there instead of its rng-random",
			"%s reads %s of the host itself: %s", u, u.Devices(), sofar(u)))
	}
	return found
}

// bypass is a fault where it takes from the hardware what the others do not have then,
// as rng judges it.
func bypass(u control.Unmetered, about, remedy, format string, args ...any) Finding {
	if slices.Contains(u.Ways, meter.HWRNG) {
		return fault(about, remedy, format, args...)
	}
	return note(about, remedy, format, args...)
}
