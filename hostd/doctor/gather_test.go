package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"headgate/hostd/control"
	"headgate/kvm/libvirt"
)

// asked stands for libvirt.
type asked struct {
	infos []libvirt.Info
	xml   map[string]string
	err   error
}

func (a asked) Version() (string, error) { return "9.0.0", nil }

func (a asked) Domains(context.Context, bool) ([]libvirt.Info, error) { return a.infos, a.err }

func (a asked) XML(_ context.Context, uuid string, inactive bool) ([]byte, error) {
	xml, there := a.xml[fmt.Sprint(uuid, inactive)]
	if !there {
		return nil, fmt.Errorf("domain %s: %w", uuid, libvirt.ErrNoDomain)
	}
	return []byte(xml), nil
}

// host makes a host below a folder of its own.
func host(t *testing.T, files map[string]string) Host {
	t.Helper()
	root := t.TempDir()
	for path, text := range files {
		full := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return Host{Root: root, Hooks: "/etc/libvirt/hooks", Control: "/c", Guests: "/run/headgate/guests",
		Status:     func(context.Context) (control.Status, error) { return control.Status{}, errors.New("no hostd") },
		LibvirtErr: errors.New("no libvirt")}
}

const script = `#!/bin/sh
# hostd=/wrong "$hostd" libvirt hook
hostd='/usr/local/sbin/hostd'
if [ -x "$hostd" ]; then
	"$hostd" libvirt hook --control '/c' -- "$@" >/dev/null
fi
`

func TestGatherNothing(t *testing.T) {
	f := Gather(t.Context(), host(t, nil))
	if f.Hook.Mode != 0 || f.AppArmor.Enabled || f.SELinux != "" || f.Domains != nil || f.Hostd.Err == nil || f.Libvirt.Err == nil {
		t.Errorf("%+v", f)
	}
	if got := said(Examine(f)); strings.Count(got, "fault") != 3 {
		t.Errorf("hostd, libvirt and the hook are away:\n%s", got)
	}
}

func TestGather(t *testing.T) {
	h := host(t, map[string]string{
		"/etc/libvirt/hooks/qemu.d/headgate":               script,
		"/etc/libvirt/hooks/qemu.d/other":                  "#!/bin/sh\n",
		"/usr/local/sbin/hostd":                            "#!/bin/sh\n",
		"/run/libvirtd.pid":                                "123\n",
		"/proc/123/comm":                                   "libvirtd\n",
		"/run/virtqemud.pid":                               "124\n", // left behind
		"/proc/124/comm":                                   "sleep\n",
		"/sys/module/apparmor/parameters/enabled":          "Y\n",
		"/sys/fs/selinux/enforce":                          "1",
		"/etc/apparmor.d/usr.sbin.libvirtd":                "/usr/local/sbin/hostd PUx,",
		localGuests:                                        "x",
		"/etc/apparmor.d/abstractions/libvirt-qemu":        "y",
		"/etc/apparmor.d/abstractions/libvirt-qemu.d/more": "z",
		"/dev/kmsg":                                        "6,1,1,-;boring\n" + deniedConnect + "\n",
		"/var/log/audit/audit.log":                         deniedExec + "\n",
	})
	for _, path := range []string{"/etc/libvirt/hooks/qemu.d/headgate", "/usr/local/sbin/hostd"} {
		if err := os.Chmod(h.path(path), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	started := morning.Add(time.Second)
	if err := os.Chtimes(h.path("/run/libvirtd.pid"), started, started); err != nil {
		t.Fatal(err)
	}
	f := Gather(t.Context(), h)
	if f.Libvirt.Daemon != "libvirtd" || !f.Libvirt.Started.Equal(started) {
		t.Errorf("libvirt: %+v", f.Libvirt)
	}
	if f.Hook.Mode != 0o755 || f.Hook.Program != "/usr/local/sbin/hostd" || f.Hook.ProgramErr != nil || f.Hook.Changed.Before(started) || !f.Hook.Other.IsZero() {
		t.Errorf("hook: %+v", f.Hook)
	}
	if !f.AppArmor.Enabled || !f.AppArmor.Driver || len(f.AppArmor.Guests) != 3 || len(f.AppArmor.Daemon) != 1 || f.AppArmor.Daemon[0].Path != "/etc/apparmor.d/usr.sbin.libvirtd" {
		t.Errorf("AppArmor: %+v", f.AppArmor)
	}
	if f.SELinux != "enforcing" || len(f.Denials) != 2 {
		t.Errorf("SELinux %q, denials %+v", f.SELinux, f.Denials)
	}

	if err := os.Chmod(h.path("/etc/libvirt/hooks/qemu.d/other"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(h.path("/usr/local/sbin/hostd")); err != nil {
		t.Fatal(err)
	}
	f = Gather(t.Context(), h)
	if f.Hook.Other.IsZero() || !errors.Is(f.Hook.ProgramErr, fs.ErrNotExist) {
		t.Errorf("hook: %+v", f.Hook)
	}
}

func domainXML(name, uuid, path, more string) string {
	return fmt.Sprintf("<domain id='3'><name>%s</name><uuid>%s</uuid><devices><rng model='virtio'><backend model='egd' type='unix'>"+
		"<source mode='connect' path='%s'><reconnect enabled='yes' timeout='1'/></source></backend></rng></devices>%s</domain>", name, uuid, path, more)
}

func TestGatherDomains(t *testing.T) {
	h := host(t, map[string]string{"/run/headgate/guests/x": ""})
	t.Chdir(filepath.Dir(h.path(sock1))) // the whole path may be too long (unix(7))
	l, err := net.Listen("unix", filepath.Base(sock1))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Chmod(h.path(sock1), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("run", h.path("/war")); err != nil {
		t.Fatal(err)
	}
	me := os.Getuid()
	label := fmt.Sprintf("<seclabel type='dynamic' model='dac' relabel='yes'><label>+%d:+0</label></seclabel>", me)
	armor := "<seclabel type='dynamic' model='apparmor' relabel='yes'><label>libvirt-" + uuid1 + "</label></seclabel>"
	h.LibvirtErr = nil
	h.Libvirt = asked{
		infos: []libvirt.Info{{Name: "web5", UUID: uuid5, Active: true}, {Name: "web3", UUID: "33333333-3333-3333-3333-333333333333", Active: true},
			{Name: "web2", UUID: uuid2}, {Name: "web1", UUID: uuid1, Active: true, Persistent: true}, {Name: "went", UUID: "44444444-4444-4444-4444-444444444444"}},
		xml: map[string]string{
			uuid1 + "false": domainXML("web1", uuid1, sock1, label+armor),
			uuid1 + "true":  "<domain><name>web1</name><uuid>" + uuid1 + "</uuid></domain>",
			uuid5 + "false": domainXML("web5", uuid5, sock1, label),
			uuid5 + "true":  "<domain><name>web5</name><uuid>" + uuid5 + "</uuid></domain>", // nobody may ask for it
			uuid2 + "true":  domainXML("web2", uuid2, "/war/headgate/guests/web1.sock", ""),
			"33333333-3333-3333-3333-333333333333false": "<domain><name>",
		},
	}
	f := Gather(t.Context(), h)
	if len(f.Domains) != 4 || f.Domains[0].Name != "web1" || f.Domains[1].Name != "web2" || f.Domains[2].Name != "web3" {
		t.Fatalf("%+v", f.Domains)
	}
	d := f.Domains[0]
	w := d.Ways[sock1]
	if next := d.Next; next == nil || next.Name != "web1" || len(next.RNGs) != 0 || !d.Confined || f.Domains[3].Next != nil || f.Domains[3].Confined {
		t.Errorf("%+v and %+v", d, f.Domains[3])
	}
	if !d.Active || int(d.QEMU.UID) != me || w.Err != nil || len(w.Steps) != 5 || w.Steps[0].Path != "/" || w.Steps[4].Path != sock1 ||
		w.Steps[4].Mode != fs.ModeSocket|0o640 || int(w.Steps[4].UID) != me {
		t.Errorf("%+v", d)
	}
	if what, _ := w.obstacle(User{UID: uint32(me)}); what != "" {
		t.Errorf("to its owner: %s", what)
	}
	if what, _ := w.obstacle(User{UID: 64055}); me != 64055 && !strings.Contains(what, "may not") {
		t.Errorf("to a stranger: %q", what)
	}
	if f.Domains[1].Active || f.Domains[1].Ways != nil || f.Domains[2].Err == nil {
		t.Errorf("%+v", f.Domains[1:])
	}
	if w := h.way("/war/headgate/guests/web1.sock"); w.Err != nil || w.Steps[4].Path != sock1 {
		t.Errorf("over a symbolic link: %+v", w)
	}
	if w := h.way("/run/headgate/none/web1.sock"); !errors.Is(w.Err, fs.ErrNotExist) || len(w.Steps) != 3 {
		t.Errorf("that is not there: %+v", w)
	}

	h.Libvirt = asked{err: errors.New("libvirtd hangs")}
	if f := Gather(t.Context(), h); f.Libvirt.Err == nil || f.Domains != nil {
		t.Errorf("%+v", f)
	}
}

func TestAppArmorDriver(t *testing.T) {
	const abstraction = policyDir + "/abstractions/libvirt-qemu"
	for conf, want := range map[string]bool{
		"":                                    true,
		"# security_driver = \"none\"\n":      true,
		"security_driver = \"apparmor\"\n":    true,
		"x = 1\n  security_driver = 'none'\n": false,
		"security_driver=\"selinux\"\n":       false,
		"security_driver = [ \"selinux\", \"apparmor\" ]\n":   true,
		"security_driver = [\n  \"selinux\",\n  \"dac\"\n]\n": false,
		"security_driver = \"none\"\nuser = \"apparmor\"\n":   false,
	} {
		files := map[string]string{"/sys/module/apparmor/parameters/enabled": "Y\n", abstraction: "x", "/etc/libvirt/qemu.conf": conf}
		if a := host(t, files).appArmor("libvirtd"); !a.Enabled || a.Driver != want {
			t.Errorf("%q: %+v, want %t", conf, a, want)
		}
		delete(files, abstraction)
		if a := host(t, files).appArmor("libvirtd"); !a.Enabled || a.Driver {
			t.Errorf("%q, and a libvirt without the driver: %+v", conf, a)
		}
	}
}

func TestCalls(t *testing.T) {
	for text, want := range map[string]string{
		script: "/usr/local/sbin/hostd",
		"exec /usr/sbin/hostd libvirt hook \"$@\"":                "/usr/sbin/hostd",
		"\"/opt/a b/hostd\" libvirt hook \"$@\"":                  "/opt/a b/hostd",
		"hostd='/opt/a b/hostd'\n${hostd} libvirt hook":           "/opt/a b/hostd",
		"timeout 1 '/usr/sbin/hostd' libvirt hook -- \"$@\" || :": "/usr/sbin/hostd",
		"hostd libvirt hook \"$@\"":                               "", // of a PATH that nobody knows
		"# /usr/sbin/hostd libvirt hook":                          "",
		"":                                                        "",
		"' libvirt hook":                                          "",
	} {
		if got := calls(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestUsers(t *testing.T) {
	u := users{known: map[uint32]User{}}
	root := uint32(0)
	if got := u.of(&root); got.Name != "root" || got.UID != 0 {
		t.Errorf("%+v", got)
	}
	nobody := uint32(4294967000)
	if got := u.of(&nobody); got.Name != "" || got.UID != nobody || got.String() != "QEMU's user 4294967000" {
		t.Errorf("%+v", got)
	}
	if got := u.of(nil); got.Name == "" {
		t.Errorf("%+v", got)
	}
}

func FuzzCalls(f *testing.F) {
	f.Add(script)
	f.Add("\"/opt/a b/hostd\" libvirt hook")
	f.Fuzz(func(t *testing.T, text string) {
		if got := calls(text); got != "" && (!filepath.IsAbs(got) || !strings.Contains(text, got) || strings.Contains(got, "\n")) {
			t.Fatalf("%q calls %q", text, got)
		}
	})
}
