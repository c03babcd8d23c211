package examples

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"headgate/integration/rig"
	"headgate/kvm/libvirt"
)

// wired is what the examples give a domain.
func wired(socket string) libvirt.RNG {
	return libvirt.RNG{Backend: "egd", Type: "unix", Mode: "connect", Path: socket, Reconnect: 1}
}

var wanted = libvirt.Policy{Class: "gold", Rate: "4KiB/s", Weight: "2"}

func TestDomain(t *testing.T) {
	d, err := libvirt.ParseDomain([]byte(read(t, "libvirt/domain.xml")))
	if err != nil {
		t.Fatal(err)
	}
	if d.Name != "web1" || !slices.Equal(d.RNGs, []libvirt.RNG{wired("/run/headgate/guests/web1.sock")}) {
		t.Errorf("%+v", d)
	}
	if c := d.Channels; len(c) != 1 || c[0].Mode != "connect" || c[0].Path != "/run/headgate/guests/web1.port" || c[0].Reconnect != 1 || c[0].Relabels {
		t.Errorf("%+v", c)
	}
	if d.Policy == nil || fmt.Sprint(*d.Policy) != fmt.Sprint(wanted) {
		t.Errorf("%+v", d.Policy)
	}
}

// libvirt puts what virsh metadata is given into the namespace.
func TestPolicy(t *testing.T) {
	text, found := strings.CutPrefix(read(t, "libvirt/policy.xml"), "<policy ")
	if !found {
		t.Fatal("it begins with something else")
	}
	d, err := libvirt.ParseDomain([]byte("<domain><metadata><policy xmlns='" + libvirt.PolicyNamespace + "' " + text + "</metadata></domain>"))
	want := wanted
	want.Quality = "full"
	if err != nil || d.Policy == nil || fmt.Sprint(*d.Policy) != fmt.Sprint(want) {
		t.Errorf("%+v, %v", d.Policy, err)
	}
	if !strings.Contains(read(t, "libvirt/README.md"), "--uri "+libvirt.PolicyNamespace+" ") {
		t.Error("the README names another namespace")
	}
}

// The hook is what install-hook writes for the program in its usual place.
func TestHook(t *testing.T) {
	dir := t.TempDir()
	run(t, hostd, "libvirt", "install-hook", "--hooks", dir)
	want := strings.ReplaceAll(read(t, filepath.Join(dir, "qemu.d/headgate")), hostd, "/usr/local/sbin/hostd")
	const path = "libvirt/hooks/qemu.d/headgate"
	if got := read(t, path); got != want {
		t.Errorf("%s has\n%s\ninstall-hook writes\n%s", path, got, want)
	}
	if out := run(t, "sh", path, "web1", "prepare", "begin", "-"); out != "" {
		t.Errorf("it printed %q", out) // without hostd, too, it succeeds
	}
}

// The rules are lines for a profile. Whether they are enforced only a kernel with
// AppArmor shows.
func TestAppArmor(t *testing.T) {
	parser := rig.Tool(t, "apparmor_parser", "apparmor")
	for _, name := range []string{"abstractions/libvirt-qemu", "usr.sbin.libvirtd"} {
		// Neither to the kernel, nor into the cache or from there.
		cmd := exec.Command(parser, "-Q", "-K", "-T")
		cmd.Stdin = strings.NewReader("profile headgate-test {\n" + read(t, filepath.Join("libvirt/apparmor/local", name)) + "}\n")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
