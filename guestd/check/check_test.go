//go:build linux

package check

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// put makes files below dir; the text of one may be "-> TARGET", which makes a link.
func put(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for path, text := range files {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		err := error(nil)
		if target, link := strings.CutPrefix(text, "-> "); link {
			err = os.Symlink(target, path)
		} else {
			err = os.WriteFile(path, []byte(text), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// run looks at root and returns what is a fault, and what is not.
func run(t *testing.T, root string) (faults, others []Finding) {
	t.Helper()
	found, err := Run(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		if f.Level == Fault {
			faults = append(faults, f)
		} else {
			others = append(others, f)
		}
	}
	return faults, others
}

// contents are what makes a file count whose text is looked at.
var contents = map[string]string{
	"/root/.ssh/id_*": "-----BEGIN OPENSSH PRIVATE KEY-----\n", "/home/*/.ssh/id_*": "-----BEGIN RSA PRIVATE KEY-----\n",
	"/etc/wireguard/*": "[Interface]\nPrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n", "/etc/systemd/network/*.netdev": "[WireGuard]\nPrivateKey=yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n",
	"/etc/iscsi/initiatorname.iscsi": "## by iscsi-iname\nInitiatorName=iqn.1993-08.org.debian:01:1a2b3c\n",
}

// Whatever the table names is found, and the command that is said to mend it does,
// in a folder whose name the shell would take apart.
func TestEveryRowIsFoundAndMended(t *testing.T) {
	for _, s := range shared {
		for _, pattern := range s.paths {
			root := filepath.Join(t.TempDir(), "an image's $(root)")
			name := strings.ReplaceAll(pattern, "*", "x1")
			text, found := contents[pattern]
			if !found {
				text = "0123456789abcdef0123456789abcdef\n"
			}
			put(t, root, map[string]string{name: text, "etc/os-release": "x"})
			faults, _ := run(t, root)
			if len(faults) != 1 || faults[0].Path != name || faults[0].About != s.about || faults[0].Shared != s.shared || faults[0].What != s.what {
				t.Errorf("%s: %+v", name, faults)
				continue
			}
			fix := faults[0].Fix
			if strings.Count(fix, " "+quoted(root)+"/") == 0 {
				t.Fatalf("%s: %q is not for the image", name, fix)
			}
			if out, err := exec.Command("sh", "-c", fix).CombinedOutput(); err != nil {
				t.Errorf("%s: %q: %v, %s", name, fix, err, out)
			}
			if faults, _ = run(t, root); len(faults) != 0 {
				t.Errorf("%s: still, after %q: %+v", name, fix, faults)
			}
		}
	}
}

// Every row is of a group, and every group has rows: else it would not be looked at,
// or always be fine.
func TestGroups(t *testing.T) {
	rows := map[string]int{}
	for _, s := range shared {
		rows[s.about]++
	}
	for _, g := range groups {
		if rows[g.about] == 0 {
			t.Errorf("%s has no rows", g.about)
		}
		delete(rows, g.about)
	}
	if len(rows) != 0 {
		t.Errorf("of no group: %v", rows)
	}
}

func TestNothingShared(t *testing.T) {
	root := t.TempDir()
	put(t, root, map[string]string{
		"etc/machine-id": "uninitialized\n", "var/lib/dbus/machine-id": "-> /etc/machine-id", "var/lib/systemd/random-seed": "",
		"etc/ssh/sshd_config": "x", "etc/ssh/ssh_host_rsa_key.pub": "x", "root/.ssh/id_rsa.pub": "ssh-rsa AAAA", "root/.ssh/authorized_keys": "ssh-rsa AAAA",
		"etc/iscsi/initiatorname.iscsi": "GenerateName=yes\n", "etc/wireguard/README": "no key here\n",
		"etc/systemd/network/br0.netdev": "[NetDev]\nKind=bridge\n", "etc/ssl/private/README": "x",
		"etc/hostid": "-> /run/hostid", "run/hostid": "1234", // of the system that runs
	})
	faults, others := run(t, root)
	if len(faults) != 0 || len(others) != len(groups)+1 {
		t.Errorf("faults %+v\nothers %+v", faults, others)
	}
	for i, f := range others[:len(groups)] {
		if f.Level != OK || f.About != groups[i].about {
			t.Errorf("%+v", f)
		}
	}
}

// How guestd and the kernels of an image are judged.
func TestGuestd(t *testing.T) {
	has := map[string]string{
		"usr/local/sbin/guestd": "x", "etc/systemd/system/sysinit.target.wants/guestd.service": "-> /usr/local/lib/systemd/system/guestd.service",
		"etc/initramfs-tools/initramfs.conf": "x", "etc/initramfs-tools/hooks/headgate": "x", "usr/sbin/sshd": "x",
		"etc/systemd/system/multi-user.target.wants/ssh-host-keys.service": "-> /usr/local/lib/systemd/system/ssh-host-keys.service",
		"boot/config-6.1.0-56-amd64":                                       "CONFIG_VMGENID=y\nCONFIG_HW_RANDOM_VIRTIO=m\nCONFIG_VIRTIO_CONSOLE=m\nCONFIG_XEN_GRANT_DEV_ALLOC=m\nCONFIG_XEN_DEV_EVTCHN=m\n",
		"usr/lib/modules/6.9.9/config":                                     "CONFIG_HW_RANDOM_VIRTIO=m\nCONFIG_XEN_GRANT_DEV_ALLOC=m\nCONFIG_XEN_DEV_EVTCHN=m\n",
	}
	for without, want := range map[string]string{
		"":                                   "neither vmgenid; no virtio-serial",
		"usr/lib/modules/6.9.9/config":       "",
		"usr/local/sbin/guestd":              "is not in the image; neither vmgenid; no virtio-serial",
		"etc/initramfs-tools/hooks/headgate": "no hook; neither vmgenid; no virtio-serial",
		"etc/systemd/system/sysinit.target.wants/guestd.service":           "not enabled; neither vmgenid; no virtio-serial",
		"etc/systemd/system/multi-user.target.wants/ssh-host-keys.service": "sshd will not start; neither vmgenid; no virtio-serial",
	} {
		root := t.TempDir()
		put(t, root, has)
		if without != "" {
			if err := os.Remove(filepath.Join(root, without)); err != nil {
				t.Fatal(err)
			}
		}
		faults, others := run(t, root)
		var notes []Finding
		for _, f := range others {
			if f.Level == Note {
				notes = append(notes, f)
			}
		}
		words := strings.Split(want, "; ")
		if want == "" {
			words = nil
		}
		if len(faults) != 0 || len(notes) != len(words) {
			t.Errorf("without %s: faults %+v, notes %+v", without, faults, notes)
			continue
		}
		for i, word := range words {
			if !strings.Contains(notes[i].What, word) || strings.Contains(notes[i].Fix, "%") || notes[i].About == "guestd" && !strings.Contains(notes[i].Fix, root) {
				t.Errorf("without %s: %+v, want %q", without, notes[i], word)
			}
		}
	}
}

// A folder where nothing is mounted is not fine.
func TestNoImage(t *testing.T) {
	for _, root := range []string{t.TempDir(), filepath.Join(t.TempDir(), "none")} {
		if found, err := Run(root); err == nil {
			t.Errorf("%s: %+v", root, found)
		}
	}
}

func TestUnseen(t *testing.T) {
	m := &image{prefix: "/mnt"}
	denied := &os.PathError{Op: "openat", Path: "etc/ssl/private", Err: unix.EACCES}
	got := m.unseen("key", "/etc/ssl/private/*.key", denied)
	if len(got) != 1 || got[0].Level != Fault || got[0].What != "cannot be looked at: permission denied" || got[0].Fix != "sudo guestd check --root /mnt" {
		t.Errorf("%+v", got)
	}
	if got = m.unseen("key", "/x", errSteps); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestCount(t *testing.T) {
	found := []Finding{{Level: OK, Shared: Secret}, {Level: Fault, Shared: Secret}, {Level: Fault, Shared: Secret}, {Level: Fault, Shared: Identity}, {Level: Fault}, {Level: Note}}
	if faults, secrets, identities := Count(found); faults != 4 || secrets != 2 || identities != 1 {
		t.Errorf("%d faults, %d secrets, %d identities", faults, secrets, identities)
	}
}

func TestQuoted(t *testing.T) {
	for s, want := range map[string]string{
		"": "", "/mnt": "/mnt", "/mnt/a b": "'/mnt/a b'", "/it's": `'/it'\''s'`, "/$(x)": "'/$(x)'", "/é": "'/é'",
	} {
		if got := quoted(s); got != want {
			t.Errorf("%q: %s", s, got)
		}
	}
}

func FuzzWireguard(f *testing.F) {
	f.Add("[Interface]\nPrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n")
	f.Add("yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n")
	f.Add("PrivateKeyFile=/x\n#PrivateKey=\nPrivateKey=\n")
	f.Fuzz(func(t *testing.T, text string) {
		lower := strings.ToLower(text)
		if got := wireguard(text); got && len(strings.TrimSpace(text)) != 44 && !strings.Contains(lower, "privatekey") {
			t.Errorf("%q has a key", text)
		} else if !got && wireguard(text+"\nPrivateKey=x\n") != true {
			t.Errorf("%q hides a key", text)
		}
	})
}
