package doctor

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"headgate/hostd/config"
)

func daemon(f Facts) []Finding { return f.Hostd.answers() }

func (h Hostd) answers() []Finding {
	if h.Err != nil {
		return []Finding{fault("hostd", "systemctl start hostd", "%v", h.Err)}
	}
	return []Finding{good("hostd", "%s answers at %s, pid %d", strings.TrimSpace("hostd "+h.Status.Version), h.Control, h.Status.PID)}
}

func following(f Facts) []Finding {
	l := f.Hostd.Status.Libvirt
	switch {
	case f.Hostd.Err != nil:
		return nil // what a daemon does that does not answer nobody knows
	case !l.Follow:
		return []Finding{note("hostd", "set follow = true under [libvirt] in "+f.Hostd.file()+", then: systemctl reload hostd",
			"it does not follow libvirt: a domain that is restored in place, or changed while the hook is away, is not seen")}
	case !l.Connected:
		why := l.Error
		if why == "" {
			why = "not connected"
		}
		return []Finding{fault("hostd", "systemctl restart "+f.unit()+"    # guests go on", "it does not see libvirt: %s", why)}
	}
	return []Finding{good("hostd", "follows libvirt %s at %s; domains that it feeds: %d", l.Version, l.Socket, l.Domains)}
}

// unit is the service of libvirt's daemon.
func (f Facts) unit() string {
	if f.Libvirt.Daemon != "" {
		return f.Libvirt.Daemon
	}
	return "libvirtd"
}

// Versions of libvirt that matter.
const (
	// libvirt.org/hooks.html: "Since 6.5.0, you can also place several hook
	// scripts in the directories".
	hooksInFolders = 6_005_000
	// NEWS of 7.10.0: reverting to a snapshot starts QEMU anew.
	revertAnew = 7_010_000
)

func version(f Facts) []Finding {
	text := f.Libvirt.Version
	if f.Libvirt.Err != nil {
		return []Finding{fault("libvirt", "systemctl start "+f.unit(), "%v", f.Libvirt.Err)}
	}
	n, err := versionNumber(text)
	switch {
	case err != nil:
		return []Finding{note("libvirt", "virsh version", "its version %q cannot be read", text)}
	case n < hooksInFolders:
		old := filepath.Join(filepath.Dir(filepath.Dir(f.Hook.Path)), "qemu")
		return []Finding{fault("libvirt", "call "+config.ShellWord(f.Hook.Path)+` "$@" from `+old+", which this version runs",
			"version %s does not run the scripts in %s; 6.5 and later do", text, filepath.Dir(f.Hook.Path))}
	case n < revertAnew:
		return []Finding{note("libvirt", "upgrade libvirt to 7.10 or later, or restart a guest after snapshot-revert",
			"version %s reverts to a snapshot within the same QEMU: the guest runs on before it has fresh bytes", text)}
	}
	return []Finding{good("libvirt", "version %s", text)}
}

// versionNumber reads major.minor.release as libvirt counts it: 6.5.0 is 6005000
// (virGetVersion).
func versionNumber(text string) (n int, err error) {
	parts := strings.Split(text, ".")
	if len(parts) > 3 {
		return 0, fmt.Errorf("version %q has %d parts", text, len(parts))
	}
	for i, unit := range []int{1_000_000, 1_000, 1} {
		if i == len(parts) {
			break
		}
		part, err := strconv.ParseUint(parts[i], 10, 9)
		if err != nil {
			return 0, err
		}
		n += int(part) * unit
	}
	return n, nil
}

func hook(f Facts) []Finding {
	h, status := f.Hook, f.Hostd.Status.Libvirt
	install := "hostd libvirt install-hook"
	if folder := filepath.Dir(filepath.Dir(h.Path)); folder != "/etc/libvirt/hooks" {
		install += " --hooks " + config.ShellWord(folder)
	}
	switch {
	case h.Mode == 0:
		return []Finding{fault("hook", install, "%s is not there: a domain's socket is made only when its QEMU already runs, and one with a vhost-user device does not start", h.Path)}
	case !h.Mode.IsRegular() || h.Mode&0o111 == 0:
		return []Finding{fault("hook", "chmod 0755 "+config.ShellWord(h.Path), "%s cannot be run (%v)", h.Path, h.Mode)}
	case h.Program == "":
		return []Finding{fault("hook", install, "%s does not call hostd", h.Path)}
	case h.ProgramErr != nil:
		return []Finding{fault("hook", install, "%s calls what cannot be run: %v", h.Path, h.ProgramErr)}
	case status.HookCalls > 0:
		return []Finding{good("hook", "%s was last run %s; calls since hostd started: %d", h.Path, status.LastHook.Format(time.DateTime), status.HookCalls)}
	case f.Libvirt.Started.IsZero() || !f.Libvirt.Started.Before(h.Changed):
		return []Finding{good("hook", "%s is there; libvirt has not run it since hostd started", h.Path)}
	case !h.Other.IsZero() && h.Other.Before(f.Libvirt.Started):
		return []Finding{good("hook", "%s is there, beside one that libvirt knew when it started", h.Path)}
	}
	// On SIGHUP it looks, too (virHookCall, src/util/virhook.c), which nobody can see.
	return []Finding{note("hook", "systemctl reload "+f.unit()+"    # guests go on",
		"%s came after %s had started, which looks for hooks only then and when it reloads; it has not run it since", h.Path, f.unit())}
}
