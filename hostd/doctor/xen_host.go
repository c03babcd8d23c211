package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"headgate/hostd/config"
)

// ExamineXen puts the facts to every check, the host's before the domains'.
func ExamineXen(f XenFacts) []Finding {
	var found []Finding
	for _, check := range []func(XenFacts) []Finding{
		func(f XenFacts) []Finding { return append(f.Hostd.answers(), f.Hostd.guarded()...) }, dom0, store, devices, followingXen, xenDomains, strays,
	} {
		found = append(found, check(f)...)
	}
	return found
}

// asRoot gives hostd the rights that it needs in a dom0, where the devices, the socket
// of xenstored (0600, init_sockets, tools/xenstored) and those of channels are root's.
const asRoot = "systemctl edit hostd    # [Service] User=root Group=root DeviceAllow=/dev/xen/evtchn rw DeviceAllow=/dev/xen/gntdev rw " +
	"DeviceAllow=/dev/xen/xenbus rw, each on a line; then: systemctl restart hostd"

func dom0(f XenFacts) []Finding {
	if f.Dom0 != nil {
		return []Finding{fault("xen", "run this in the dom0 of a Xen host; for QEMU's guests: hostd libvirt doctor", "%v", f.Dom0)}
	}
	return []Finding{good("xen", "this is a dom0")}
}

func store(f XenFacts) []Finding {
	switch err := f.Store.Err; {
	case f.Dom0 != nil:
		return nil // what has no Xen has no xenstored
	case errors.Is(err, fs.ErrPermission):
		return []Finding{fault("xenstore", "sudo hostd xen doctor", "%v", err)}
	case err != nil:
		return []Finding{fault("xenstore", "systemctl start xenstored    # Debian: systemctl start xen", "%v", err)}
	}
	n := "1 domain"
	if len(f.Domains) != 1 {
		n = fmt.Sprintf("%d domains", len(f.Domains))
	}
	if f.Only != "" {
		return []Finding{good("xenstore", "answers")}
	}
	return []Finding{good("xenstore", "answers, and has %s beside dom0", n)}
}

func devices(f XenFacts) (found []Finding) {
	if f.Dom0 != nil {
		return nil
	}
	for _, d := range f.Devices {
		load := "modprobe " + d.Module + " && echo " + d.Module + " >> /etc/modules-load.d/headgate.conf"
		last := Step{}
		if len(d.Way.Steps) > 0 {
			last = d.Way.Steps[len(d.Way.Steps)-1]
		}
		switch {
		case errors.Is(d.Way.Err, fs.ErrNotExist):
			found = append(found, fault("xen", load, "%s is not there: no ring can be mapped", d.Path))
		case d.Way.Err != nil:
			found = append(found, fault("xen", "sudo hostd xen doctor", "%s cannot be seen: %v", d.Path, d.Way.Err))
		case last.Mode.Type() != fs.ModeDevice|fs.ModeCharDevice:
			found = append(found, fault("xen", "rm "+config.ShellWord(d.Path)+" && "+load, "%s is no device (%v)", d.Path, last.Mode))
		case f.User != nil && (!last.may(*f.User, canRead) || !last.may(*f.User, canWrite)):
			found = append(found, fault("xen", asRoot, "hostd runs as %s and may not open %s (%v, owner %d:%d)",
				f.User.name(), d.Path, last.Mode, last.UID, last.GID))
		}
	}
	if len(found) == 0 {
		found = append(found, good("xen", "/dev/xen/evtchn and /dev/xen/gntdev are there"))
	}
	return found
}

func followingXen(f XenFacts) []Finding {
	x := f.Hostd.Status.Xen
	switch {
	case f.Hostd.Err != nil || f.Dom0 != nil:
		return nil
	case !x.Follow:
		file := f.Hostd.Status.Config
		if file == "" {
			file = "its configuration"
		}
		return []Finding{fault("hostd", "set follow = true under [xen] in "+file+", then: systemctl reload hostd", "it does not follow Xen: no domain is fed through a ring")}
	case !x.Connected:
		why := x.Error
		if why == "" {
			why = "not connected"
		}
		return []Finding{fault("hostd", mend(why, "hostd events | grep xen"), "it does not see xenstore: %s", why)}
	}
	return []Finding{good("hostd", "follows the domains at %s; those that it feeds: %d", x.Socket, x.Domains)}
}

// mend is what mends a trouble of hostd's: its rights, if they are it.
func mend(trouble, otherwise string) string {
	if strings.Contains(trouble, "permission denied") || strings.Contains(trouble, "operation not permitted") {
		return asRoot
	}
	return otherwise
}
