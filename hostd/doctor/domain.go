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
		return []Finding{fault("", "virsh dumpxml "+config.ShellWord(d.Name), "its XML cannot be read: %v", d.Err)}
	}
	var found []Finding
	own := config.Libvirt{Guests: f.guests()}
	guest := config.DomainGuest(d.Name, d.UUID)
	for _, r := range d.RNGs {
		found = append(found, f.rng(d, r, own.GuestSocket(guest))...)
	}
	for _, c := range d.Channels {
		plug := plug{device: "channel " + libvirt.EntropyPort, again: "--port --replace", own: own.GuestPort(guest),
			meets: c.Mode == "connect", path: c.Path, flaw: c.Flaw()}
		found = append(found, f.plug(d, plug)...)
	}
	for _, v := range d.Vhosts {
		found = append(found, f.plug(d, vhost(v, own.GuestVhost(guest)))...)
	}
	found = append(found, f.unseen(d)...)
	attach, rngs := "hostd libvirt attach "+config.ShellWord(d.Name), len(d.RNGs)+len(d.Vhosts)
	if len(d.Vhosts) > 0 {
		attach += " --vhost-user"
	}
	switch {
	case rngs == 0 && len(d.Channels) == 0:
		found = append(found, note("", attach, "it has no random number generator of the host's"))
	case rngs > 1:
		found = append(found, note("", attach+" --replace", "it has %d rng devices, and its kernel uses one: of equals the first", rngs))
	}
	if next := d.Next; d.Active && next != nil && f.meant(d.Domain) && !f.meant(*next) {
		remedy := attach + " --config"
		if len(d.Channels) > 0 {
			remedy += " --port"
		}
		found = append(found, note("", remedy, "it is wired to Headgate while it runs, and from its next start on it is not"))
	}
	found = append(found, f.problems(d, found)...)
	if len(found) == 0 {
		found = append(found, f.well(d))
	}
	return found
}

// rng judges a device by where its bytes come from.
func (f Facts) rng(d Domain, r libvirt.RNG, own string) []Finding {
	replace := "hostd libvirt attach " + config.ShellWord(d.Name) + " --replace"
	switch {
	case r.Backend == "egd" && r.Type == "unix":
		return f.plug(d, plug{device: "rng", again: "--replace", own: own, meets: r.Mode == "connect", path: r.Path, flaw: r.Flaw()})
	case r.Backend == "egd":
		return []Finding{fault("", replace, "its rng has its bytes from the network (%s): whoever is on the way reads them", r.Type)}
	case r.Backend == "random" && (r.Path == "/dev/hwrng" || r.Path == "/dev/hw_random"):
		return []Finding{fault("", replace, "its rng reads %s of the host itself, and what it takes the others do not have%s", r.Path, f.taken(d, r.Path))}
	case r.Backend == "random" || r.Backend == "builtin":
		from := r.Path
		if from == "" {
			from = "QEMU's own generator"
		}
		return []Finding{note("", replace, "its rng has its bytes from %s, not from Headgate%s", from, f.taken(d, r.Path))}
	}
	return []Finding{note("", replace, "its rng has a backend that is not known here: %q", r.Backend)}
}

// plug is a device of a domain that is connected to a unix socket.
type plug struct {
	device string // as it is called
	again  string // flags that have attach make it anew
	own    string // path that it should have
	meets  bool   // it connects where hostd listens, or the other way round
	path   string
	flaw   string // what else is wrong with it
	vhost  bool   // hostd connects there to QEMU
}

// vhost is a vhost-user device, whose own path that is.
func vhost(v libvirt.Vhost, own string) plug {
	return plug{device: "vhost-user device", again: "--vhost-user --replace", own: own, meets: v.Server, path: v.Path, flaw: v.Flaw(), vhost: true}
}

// mend makes it anew.
func (p plug) mend(d Domain) string {
	return "hostd libvirt attach " + config.ShellWord(d.Name) + " " + p.again
}

func (f Facts) plug(d Domain, p plug) []Finding {
	again := p.mend(d)
	g, _, static := f.pipe(p.path)
	static = static && g.Origin != control.OriginLibvirt // of the configuration, or added live
	switch {
	case p.path != p.own && !static:
		if other, is := f.owner(p.path, d); is {
			return []Finding{fault("", again, "its %s names %s, which is the socket of %s: is it a clone?", p.device, p.path, other)}
		}
		if below(p.path, f.guests()) {
			return []Finding{fault("", again, "its %s names %s; its own is %s", p.device, p.path, p.own)}
		}
		return []Finding{note("", again, "its %s is at %s, which is not Headgate's", p.device, p.path)}
	}
	var found []Finding
	if p.flaw != "" {
		found = append(found, fault("", again, "its %s at %s %s", p.device, p.path, p.flaw))
	}
	if d.Active && p.meets {
		found = append(found, f.connected(d, p)...)
	}
	return found
}

// meant tells whether the domain has a device that is meant for hostd.
func (f Facts) meant(d libvirt.Domain) bool {
	ours := func(path string) bool {
		_, _, found := f.pipe(path)
		return found || below(path, f.guests())
	}
	return slices.ContainsFunc(d.RNGs, func(r libvirt.RNG) bool { return r.Backend == "egd" && r.Type == "unix" && ours(r.Path) }) ||
		slices.ContainsFunc(d.Channels, func(c libvirt.Channel) bool { return ours(c.Path) }) ||
		slices.ContainsFunc(d.Vhosts, func(v libvirt.Vhost) bool { return ours(v.Path) })
}

func (f Facts) well(d Domain) Finding {
	var paths []string
	for _, r := range d.RNGs {
		paths = append(paths, r.Path)
	}
	for _, c := range d.Channels {
		paths = append(paths, c.Path)
	}
	for _, v := range d.Vhosts {
		paths = append(paths, v.Path)
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
