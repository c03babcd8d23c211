//go:build linux

package check

import (
	"cmp"
	"path"
	"strings"

	"headgate/guestd/kernel"
)

// wants are the folders where a unit is enabled, or comes enabled by its vendor.
func wants(unit string) []string {
	return []string{"/etc/systemd/system/*.wants/" + unit, "/usr/lib/systemd/system/*.wants/" + unit, "/usr/local/lib/systemd/system/*.wants/" + unit}
}

// guestd says whether the image seeds itself before it makes keys.
func (m *image) guestd() (found []Finding) {
	say := func(good bool, fine, what, fix string) {
		f := Finding{Level: OK, About: "guestd", What: fine}
		if !good {
			f = Finding{Level: Note, About: "guestd", What: what, Fix: m.fix(fix)}
		}
		found = append(found, f)
	}
	install, enable := "make install-guest", "systemctl enable "
	if m.prefix != "" {
		install, enable = "make install-guest DESTDIR=%", "systemctl --root=% enable "
	}
	if !m.is("/usr/local/sbin/guestd", "/usr/sbin/guestd", "/usr/local/bin/guestd", "/usr/bin/guestd") {
		say(false, "", "is not in the image: no clone is seeded from its host, nor reseeded when it is cloned", install)
		return found
	}
	say(m.is(wants("guestd.service")...), "guestd.service is enabled",
		"guestd.service is not enabled: nothing starts it", enable+"guestd.service")
	hooks, rebuild := "", ""
	switch {
	case m.is("/etc/initramfs-tools/initramfs.conf", "/usr/share/initramfs-tools/init"):
		hooks, rebuild = "/initramfs-tools/hooks/headgate", "update-initramfs -u -k all"
	case m.is("/usr/lib/dracut/dracut-functions.sh", "/usr/lib/dracut/modules.d/99base"):
		hooks, rebuild = "/dracut/modules.d/*headgate", "dracut --regenerate-all --force"
	}
	if hooks != "" {
		there := m.is("/etc"+hooks, "/usr/share"+hooks, "/usr/lib"+hooks)
		say(there, "its hook for the initramfs is in the image (in the initramfs after "+rebuild+")",
			"has no hook for the initramfs: the first seed comes later, with the unit", install)
	}
	if m.is("/usr/sbin/sshd") && !m.is("/etc/ssh/ssh_host_*_key") {
		say(m.is(append(append(append(wants("ssh-host-keys.service"), wants("sshd-keygen*")...), wants("regenerate_ssh_host_keys.service")...),
			"/usr/bin/cloud-init", "/usr/lib/systemd/system/sshd-keygen.target")...),
			"SSH host keys are made at the first boot",
			"nothing in the image makes SSH host keys at the first boot: sshd will not start", enable+"ssh-host-keys.service")
	}
	return found
}

// maxKernels bounds the kernels of an image that are looked at.
const maxKernels = 16

// kernels says what the image's kernels have of what guestd makes use of.
func (m *image) kernels() (found []Finding) {
	seen := map[string]bool{}
	for _, pattern := range []string{"/boot/config-*", "/usr/lib/modules/*/config"} {
		names, _ := m.glob(pattern) // who may not look does without
		for _, name := range names {
			release := strings.TrimPrefix(path.Base(name), "config-")
			if release == "config" {
				release = path.Base(path.Dir(name))
			}
			if seen[release] || len(seen) == maxKernels {
				continue
			}
			if f, err := m.file(name); err == nil && f.size > 0 {
				if r, err := m.open(f); err == nil {
					seen[release] = true
					found = append(found, judged(name, release, kernel.ReadConfig(r))...)
					_ = r.Close()
				}
			}
		}
	}
	return found
}

func judged(name, release string, c kernel.Config) (found []Finding) {
	text := "has " + cmp.Or(c.Has(), "nothing of what guestd uses")
	if tested := kernel.Tested(release); tested != "" {
		text += "; one of those that Headgate is tested with (" + tested + ")"
	}
	found = append(found, Finding{Level: OK, About: "kernel", Path: printable(name), What: text})
	for _, note := range c.Notes() {
		found = append(found, Finding{Level: Note, About: "kernel", Path: printable(name), What: note})
	}
	return found
}
