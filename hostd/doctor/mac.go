package doctor

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"headgate/hostd/config"
)

// appArmorGuests: virt-aa-helper writes no rule for the socket of an rng device,
// so that the rule has to be in what all domains' profiles include.
func appArmorGuests(f Facts) []Finding {
	if !f.confines() {
		return nil
	}
	own, guest := config.Libvirt{Guests: f.guests()}, "guest"
	vhosts := slices.ContainsFunc(f.Domains, func(d Domain) bool { return len(d.Vhosts) > 0 || d.Next != nil && len(d.Next.Vhosts) > 0 })
	for _, rule := range []struct {
		asked      bool
		path, glob string
		lacks      string
	}{
		{true, own.GuestSocket(guest), f.guests() + "/*", "no domain may connect below %s"},
		{vhosts, own.GuestVhost(guest), own.GuestVhost("*"), "no domain with a vhost-user device may make its socket below %s, and so none starts"},
	} {
		if rule.asked && !allows(f.AppArmor.Guests, rule.path, "rw") {
			return []Finding{fault("apparmor", fmt.Sprintf(`echo '"%s" rw,' >> %s    # for domains that start from now on; then for each that runs: apparmor_parser -r /etc/apparmor.d/libvirt/libvirt-UUID`,
				rule.glob, localGuests), rule.lacks, f.guests())}
		}
	}
	return []Finding{good("apparmor", "domains may connect below %s", f.guests())}
}

// confines tells whether libvirt has AppArmor confine its domains: those that run
// show it, and where none runs it is as libvirt is set up. The kernel's having it is
// not enough (security_driver in qemu.conf, a libvirt without that driver).
func (f Facts) confines() bool {
	if !f.AppArmor.Enabled {
		return false
	}
	running := 0
	for _, d := range f.Domains {
		switch {
		case d.Confined:
			return true
		case d.Active && d.Err == nil:
			running++
		}
	}
	return running == 0 && f.AppArmor.Driver
}

// appArmorHook: Debian lets libvirtd run what is in /usr/sbin, and make install
// puts hostd in /usr/local/sbin.
func appArmorHook(f Facts) []Finding {
	if !f.AppArmor.Enabled || f.Hook.Program == "" || len(f.AppArmor.Daemon) == 0 {
		return nil
	}
	profile := filepath.Base(f.AppArmor.Daemon[0].Path)
	if allows(f.AppArmor.Daemon, f.Hook.Program, "x") {
		return []Finding{good("apparmor", "%s may run %s", profile, f.Hook.Program)}
	}
	return []Finding{fault("apparmor", fmt.Sprintf(`echo '"%s" PUx,' >> %s && apparmor_parser -r %s`,
		f.Hook.Program, filepath.Join(policyDir, "local", profile), filepath.Join(policyDir, profile)),
		"%s may not run %s, so the hook fails", profile, f.Hook.Program)}
}

// seLinuxRule says what is most likely to be missing in SELinux's policy.
const seLinuxRule = "where it denies, its policy wants: allow svirt_t unconfined_service_t:unix_stream_socket connectto;"

func seLinux(f Facts) []Finding {
	switch f.SELinux {
	case "enforcing":
		return []Finding{note("selinux", "ausearch -m avc -ts recent | grep headgate    # "+seLinuxRule,
			"it is enforcing: hostd labels the sockets of domains whose XML has a label; whether the policy lets QEMU connect to hostd, only its log tells")}
	case "permissive":
		return []Finding{good("selinux", "it is permissive, and denies nothing")}
	}
	return nil
}

// denials are no fault by themselves: they may be from before the rule was there.
// A domain that is denied now is not connected, and that is one.
func denials(f Facts) []Finding {
	if len(f.Denials) == 0 {
		return nil
	}
	last := f.Denials[0]
	for _, d := range f.Denials {
		if d.Time.After(last.Time) {
			last = d
		}
	}
	return []Finding{note("denials", last.remedy(f.unit()),
		"the kernel has denied, last %s, of %d lines in its log: %s", last.Time.Format(time.DateTime), len(f.Denials), last.Text)}
}

// profile is how AppArmor's denial names that of a domain.
var profile = regexp.MustCompile(`profile="(libvirt-[0-9a-f-]{36})"`)

// remedy loads the rules anew by which it was denied, or says what to add to them.
func (d Denial) remedy(unit string) string {
	switch name := profile.FindStringSubmatch(d.Text); {
	case strings.Contains(d.Text, "avc:"):
		return "ausearch -m avc -ts recent --raw | grep headgate | audit2allow    # " + seLinuxRule
	case name != nil:
		return "apparmor_parser -r " + policyDir + "/libvirt/" + name[1] + "    # if it goes on"
	}
	return "apparmor_parser -r " + policyDir + "/usr.sbin." + unit + "    # if it goes on"
}
