package doctor

import (
	"slices"

	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/kvm/libvirt"
)

func domains(f Facts) []Finding {
	var found []Finding
	for _, d := range f.Domains {
		of := f.examine(d)
		for i := range of {
			of[i].About, of[i].Domain = "domain", d.Name
		}
		found = append(found, of...)
	}
	return found
}

// examine gives what there is to say of one domain: its faults and notes, or that
// it is well.
func (f Facts) examine(d Domain) []Finding {
	if d.Err != nil {
		return []Finding{fault("", "virsh dumpxml "+word(d.Name), "its XML cannot be read: %v", d.Err)}
	}
	var found []Finding
	own := config.Libvirt{Guests: f.guests()}
	guest := config.DomainGuest(d.Name, d.UUID)
	for _, r := range d.RNGs {
		found = append(found, f.rng(d, r, own.GuestSocket(guest))...)
	}
	for _, c := range d.Channels {
		plug := plug{device: "channel " + libvirt.EntropyPort, again: "--port --replace", own: own.GuestPort(guest),
			mode: c.Mode, path: c.Path, reconnect: c.Reconnect}
		found = append(found, f.plug(d, plug)...)
		if c.Relabels {
			found = append(found, fault("", plug.mend(d), "its %s has no <seclabel model='dac' relabel='no'/>: libvirt does not start it while hostd is away", plug.device))
		}
	}
	switch attach := "hostd libvirt attach " + word(d.Name); {
	case len(d.RNGs) == 0 && len(d.Channels) == 0:
		found = append(found, note("", attach, "it has no random number generator of the host's"))
	case len(d.RNGs) > 1:
		found = append(found, note("", attach+" --replace", "it has %d rng devices, and its kernel uses one: of equals the first", len(d.RNGs)))
	}
	found = append(found, f.problems(d)...)
	if len(found) == 0 {
		found = append(found, f.well(d))
	}
	return found
}

// rng judges a device by where its bytes come from.
func (f Facts) rng(d Domain, r libvirt.RNG, own string) []Finding {
	replace := "hostd libvirt attach " + word(d.Name) + " --replace"
	switch {
	case r.Backend == "egd" && r.Type == "unix":
		return f.plug(d, plug{device: "rng", again: "--replace", own: own, mode: r.Mode, path: r.Path, reconnect: r.Reconnect})
	case r.Backend == "egd":
		return []Finding{fault("", replace, "its rng has its bytes from the network (%s): whoever is on the way reads them", r.Type)}
	case r.Backend == "random" && (r.Path == "/dev/hwrng" || r.Path == "/dev/hw_random"):
		return []Finding{fault("", replace, "its rng reads %s of the host itself, and what it takes the others do not have", r.Path)}
	case r.Backend == "random" || r.Backend == "builtin":
		from := r.Path
		if from == "" {
			from = "QEMU's own generator"
		}
		return []Finding{note("", replace, "its rng has its bytes from %s, not from Headgate", from)}
	}
	return []Finding{note("", replace, "its rng has a backend that is not known here: %q", r.Backend)}
}

// plug is a device of a domain that is connected to a unix socket.
type plug struct {
	device    string // as it is called
	again     string // flags that have attach make it anew
	own       string // path that it should have
	mode      string
	path      string
	reconnect int
}

// mend makes it anew.
func (p plug) mend(d Domain) string { return "hostd libvirt attach " + word(d.Name) + " " + p.again }

func (f Facts) plug(d Domain, p plug) []Finding {
	again := p.mend(d)
	g, _, static := f.pipe(p.path)
	static = static && g.Origin != control.OriginLibvirt // of the configuration, or added live
	switch {
	case p.mode != "connect":
		return []Finding{fault("", again, "its %s waits at %s for somebody to come (mode %q); hostd is who waits", p.device, p.path, p.mode)}
	case p.path != p.own && !static:
		if other, is := f.owner(p.path, d); is {
			return []Finding{fault("", again, "its %s names %s, which is the socket of %s: is it a clone?", p.device, p.path, other)}
		}
		if below(p.path, f.guests()) {
			return []Finding{fault("", again, "its %s names %s; its own is %s", p.device, p.path, p.own)}
		}
		return []Finding{note("", again, "its %s is connected to %s, which is not Headgate's", p.device, p.path)}
	}
	var found []Finding
	if p.reconnect <= 0 {
		found = append(found, fault("", again, "its %s has no <reconnect>: it does not start without hostd, and is not fed any more when hostd was restarted", p.device))
	}
	if d.Active {
		found = append(found, f.connected(d, p)...)
	}
	return found
}

// connected judges the socket of a domain that runs.
func (f Facts) connected(d Domain, p plug) []Finding {
	if what, remedy := d.Ways[p.path].obstacle(d.QEMU); what != "" {
		if f.Hostd.Err != nil {
			remedy = "systemctl start hostd"
		}
		return []Finding{fault("", remedy, "its socket %s: %s", p.path, what)}
	}
	if f.Hostd.Err != nil {
		return nil
	}
	g, pipe, found := f.pipe(p.path)
	switch {
	case !found:
		return []Finding{fault("", "systemctl restart hostd", "hostd does not feed %s", p.path)}
	case pipe.Error != "":
		return []Finding{fault("", "hostd events | grep "+word(g.Name), "its socket %s: %s", p.path, pipe.Error)}
	case !pipe.Connected && pipe.Refused > 0:
		return []Finding{fault("", "hostd events | grep "+word(g.Name), "its QEMU is not connected to %s, and %d others were turned away there", p.path, pipe.Refused)}
	case !pipe.Connected:
		return []Finding{fault("", p.mend(d)+" --live    # if it stays so: journalctl -k | grep -i denied",
			"its QEMU is not connected to %s; a device that was plugged in does not reconnect in libvirt 9.0", p.path)}
	case pipe.Refused > 0:
		return []Finding{note("", "hostd events | grep "+word(g.Name), "%d others were turned away at %s", pipe.Refused, p.path)}
	}
	return nil
}

// problems are what hostd has found wrong itself.
func (f Facts) problems(d Domain) (found []Finding) {
	i := slices.IndexFunc(f.Hostd.Status.Guests, func(g control.GuestStatus) bool {
		return g.Domain != nil && g.Domain.UUID == d.UUID
	})
	if i < 0 {
		return nil
	}
	for _, p := range f.Hostd.Status.Guests[i].Domain.Problems {
		found = append(found, fault("", "hostd libvirt attach "+word(d.Name)+" --class CLASS    # or: virsh edit "+word(d.Name), "%s", p))
	}
	return found
}

func (f Facts) well(d Domain) Finding {
	var paths []string
	for _, r := range d.RNGs {
		paths = append(paths, r.Path)
	}
	for _, c := range d.Channels {
		paths = append(paths, c.Path)
	}
	if !d.Active {
		return good("", "will be fed over %s", paths[0])
	}
	for _, path := range paths {
		if g, _, found := f.pipe(path); found {
			return good("", "is fed over %s, class %s, %d bytes so far", path, g.Class, g.Bytes)
		}
	}
	return good("", "is wired to %s", paths[0])
}
