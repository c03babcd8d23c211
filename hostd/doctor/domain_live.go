package doctor

import (
	"slices"
	"strings"

	"headgate/hostd/config"
	"headgate/hostd/control"
)

// connected judges the socket of a domain that runs.
func (f Facts) connected(d Domain, p plug) []Finding {
	var what, remedy string
	if !p.vhost { // there QEMU is connected to, and needs no way
		what, remedy = d.Ways[p.path].obstacle(d.QEMU)
	}
	g, pipe, found := f.pipe(p.path)
	events := "hostd events | grep " + config.ShellWord(g.Name)
	switch {
	case f.Hostd.Err != nil && what == "":
		return nil
	case f.Hostd.Err != nil:
		return []Finding{fault("", "systemctl start hostd", "its socket %s: %s", p.path, what)}
	case !found:
		return f.unfed(d, p)
	case pipe.Error != "":
		return []Finding{fault("", events, "its socket %s: %s", p.path, pipe.Error)}
	case what != "":
		return []Finding{fault("", remedy, "its socket %s: %s", p.path, what)}
	case !pipe.Connected && pipe.Refused > 0:
		return []Finding{fault("", events, "its QEMU is not connected to %s, and %d others were turned away there", p.path, pipe.Refused)}
	case !pipe.Connected && p.vhost:
		return []Finding{fault("", events+"    # if it stays so: journalctl -k | grep -i denied", "hostd is not connected to its QEMU at %s", p.path)}
	case !pipe.Connected:
		return []Finding{fault("", p.mend(d)+" --live    # if it stays so: journalctl -k | grep -i denied",
			"its QEMU is not connected to %s; a device that was plugged in does not reconnect in libvirt 9.0", p.path)}
	case pipe.Refused > 0:
		return []Finding{note("", events, "%d others were turned away at %s", pipe.Refused, p.path)}
	}
	return nil
}

// unfed says how hostd, which answers, is to learn of a domain's socket.
func (f Facts) unfed(d Domain, p plug) []Finding {
	var remedy string
	switch l := f.Hostd.Status.Libvirt; {
	case slices.ContainsFunc(f.Hostd.Status.DomainProblems(d.Name, d.UUID), func(o control.Problem) bool {
		device := deviceIn(o.Text)
		return o.Kind == control.DomainMiswired && (device == "" || device == deviceIn("its "+p.device+" "))
	}):
		return nil // hostd says itself what keeps it
	case !l.Follow: // a restart of hostd would lose the others, too
		remedy = "systemctl restart " + f.unit() + "    # guests go on, and its hook tells hostd of each"
	case !l.Connected:
		remedy = "systemctl start " + f.unit()
	default:
		remedy = "hostd events | grep " + config.ShellWord(config.DomainGuest(d.Name, d.UUID)) + "    # if that says nothing: " + restartHostd
	}
	return []Finding{fault("", remedy, "hostd does not feed %s", p.path)}
}

// problems are what hostd has found wrong itself, but for devices that are judged
// already: of their wiring it says the same.
func (f Facts) problems(d Domain, judged []Finding) (found []Finding) {
	for _, p := range f.Hostd.Status.DomainProblems(d.Name, d.UUID) {
		text := strings.TrimPrefix(p.Text, "domain "+d.Name+": ")
		if p.Kind == control.DomainPolicy {
			name := config.ShellWord(d.Name)
			found = append(found, fault("", "hostd libvirt attach "+name+" --class CLASS    # or: virsh edit "+name, "%s", text))
			continue
		}
		device := deviceIn(text)
		if device != "" && slices.ContainsFunc(judged, func(o Finding) bool { return o.Level == Fault && deviceIn(o.Text) == device }) {
			continue
		}
		found = append(found, miswired(text))
	}
	return found
}

// deviceIn tells what kind of device a text begins with, hostd's or the doctor's.
func deviceIn(text string) string {
	for _, device := range []string{"its rng ", "its channel ", "its vhost-user device "} {
		if strings.HasPrefix(text, device) {
			return device
		}
	}
	return ""
}

// miswired makes a finding of what hostd says, which ends in what mends it.
func miswired(text string) Finding {
	i := strings.LastIndex(text, ": ")
	if i < 0 {
		return fault("", "hostd libvirt status", "%s", text)
	}
	return fault("", strings.TrimSuffix(text[i+2:], " mends it"), "%s", text[:i])
}
