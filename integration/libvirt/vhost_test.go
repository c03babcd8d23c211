//go:build linux

package libvirt

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"headgate/hostd/control"
	"headgate/hostd/doctor"
	"headgate/integration/rig"
)

func vhostSocket(guest string) string { return filepath.Join(guests, guest+".vhost", "sock") }

// TestVhostUser has a domain that was wired with an rng device get a vhost-user-rng
// device in its place, and lose it again. What its guest reads comes through that and
// nothing else, before and after hostd was killed.
func TestVhostUser(t *testing.T) {
	h := theHost(t)
	ctx := rig.Within(t, 2*time.Minute)
	h.hooked(ctx, t)
	d := h.machine(t, "db3", "5e9a1c7e-0b35-4a0e-9c1b-b1a5d7f0c203", "", egd(guestSocket("db3")))
	h.do(ctx, t, "libvirt", "attach", "db3", "--vhost-user", "--class", "silver")
	if text := definition(ctx, t, d); strings.Contains(text, "<rng") || !strings.Contains(text, vhostSocket("db3")) {
		t.Errorf("it is defined as\n%s", text)
	}

	boot(ctx, t, d)
	h.firstBytes(ctx, t, d)
	if now := fileIn(ctx, t, d, "/sys/class/misc/hw_random/rng_available"); strings.TrimSpace(now) != "virtio_rng.0" {
		t.Errorf("its kernel has %q", now)
	}
	// An interrupt of the queue's own, by MSI-X.
	if now := fileIn(ctx, t, d, "/proc/interrupts"); !strings.Contains(now, "-input") {
		t.Errorf("its interrupts are\n%s", now)
	}
	g := h.hostd.AwaitGuest(ctx, t, "db3", "db3 is fed over its vhost-user pipe", func(g control.GuestStatus) bool {
		return len(g.Pipes) == 1 && g.Pipes[0].Kind == "vhost-user" && g.Pipes[0].Connected && g.Pipes[0].Bytes > 0
	})
	if g.Class != "silver" || g.Origin != control.OriginLibvirt || !told(g.Domain, "") || g.Pipes[0].Path != vhostSocket("db3") {
		t.Errorf("db3 is %+v of %+v", g, g.Domain)
	}
	if said := h.do(ctx, t, "libvirt", "status"); !strings.Contains(said, "vhost-user  fed") {
		t.Error("the status does not show its device")
	}
	for _, f := range h.findings(ctx, t) {
		if f.Domain == "db3" && f.Level != doctor.OK {
			t.Errorf("the doctor finds %+v", f)
		}
	}

	read := rig.Follow(ctx, t, d.Init, h.seen)
	read.Await(t, 4<<10, 30*time.Second)
	qemu := d.PID()
	for range 2 {
		h.hostd.Kill()
		rig.Pause(ctx, t, 200*time.Millisecond)
		before := read.Latest().Total
		h.startHostd(ctx, t)
		begun := time.Now()
		took := read.Await(t, before+512, 20*time.Second).Host.Sub(begun)
		t.Logf("the read went on %s after hostd was back", took.Round(time.Millisecond))
		if took > atMost {
			t.Errorf("the read went on after %s, want at most %s", took, atMost)
		}
	}
	if now := d.PID(); now != qemu {
		t.Errorf("its QEMU is %d, it was %d", now, qemu)
	}

	// Neither libvirt nor QEMU lets it be moved, and it runs on.
	for what, try := range map[string]func() error{
		"save":    func() error { return d.Save(ctx, filepath.Join(rig.Private, "db3.save")) },
		"migrate": func() error { _, err := rig.Virsh(ctx, "migrate", "--live", d.UUID, "qemu:///system"); return err },
	} {
		err := try()
		if err == nil || !strings.Contains(err.Error(), "cannot migrate domain") || !strings.Contains(err.Error(), "vhost-user-rng") {
			t.Errorf("%s: %v", what, err)
		}
		t.Logf("%s: %v", what, err)
	}
	read.Await(t, read.Latest().Total+512, 20*time.Second)

	h.do(ctx, t, "libvirt", "detach", "db3")
	if text := definition(ctx, t, d); strings.Contains(text, "qemu:") || !strings.Contains(text, "memfd") {
		t.Errorf("after detach it is defined as\n%s", text)
	}
	read.Await(t, read.Latest().Total+512, 20*time.Second) // the running one keeps it
	h.destroy(ctx, t, d, "db3")
	if _, err := os.Lstat(filepath.Dir(vhostSocket("db3"))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its folder is left over: %v", err)
	}
	h.only(ctx, t)
}

// TestVhostUserMachines starts a domain with a vhost-user-rng device on either of the
// machines that libvirt has for a PC, where it is in no other device's way: one that was
// attached, and that of examples/kvm.
func TestVhostUserMachines(t *testing.T) {
	h := theHost(t)
	ctx := rig.Within(t, time.Minute)
	h.hooked(ctx, t)
	pc := shell(t, "pc", "5e9a1c7e-0b35-4a0e-9c1b-b1a5d7f0c204", "", "<graphics type='vnc' passwd='hush'><listen type='socket'/></graphics>")
	h.do(ctx, t, "libvirt", "attach", "pc", "--vhost-user")
	if text, err := rig.Virsh(ctx, "dumpxml", "--inactive", "--security-info", "pc"); err != nil || !strings.Contains(text, "passwd='hush'") {
		t.Errorf("its secrets are gone: %v\n%s", err, text)
	}
	text := example(t, "../kvm/domain.xml")
	text = change(t, text, "type='kvm'", "type='qemu'")
	text = change(t, text, "host-passthrough", "maximum")
	text = change(t, text, regexp.MustCompile(`(?s)<interface .*</interface>`).FindString(text), "")
	text = change(t, text, regexp.MustCompile(`(?s)<disk .*</disk>`).FindString(text), "")
	text = change(t, text, "<memory unit='MiB'>1024<", "<memory unit='MiB'>16<")
	q35 := rig.DefineDomain(t, rig.DomainConfig{
		Name: "web1", UUID: "5e9a1c7e-0b35-4a0e-9c1b-b1a5d7f0c205",
		Definition: change(t, text, "</name>", "</name><uuid>5e9a1c7e-0b35-4a0e-9c1b-b1a5d7f0c205</uuid>"),
	})
	for _, d := range []*rig.Domain{pc, q35} {
		start(ctx, t, d, "--paused")
		h.hostd.AwaitGuest(ctx, t, d.Name, "hostd is connected to its QEMU", connected)
		h.destroy(ctx, t, d, d.Name)
	}
	h.only(ctx, t)

	// Without hostd there is no folder for the socket, and so no QEMU. Where there is
	// one, QEMU waits, and libvirt with it, until hostd is back and sees the domain.
	h.hostd.Kill()
	if err := pc.Start(ctx, "--paused"); err == nil || !strings.Contains(err.Error(), "No such file or directory") {
		t.Errorf("it is started without hostd: %v", err)
	}
	folder := filepath.Dir(vhostSocket("pc"))
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(folder, int(userID(t, "libvirt-qemu")), -1); err != nil {
		t.Fatal(err)
	}
	started := make(chan error, 1)
	go func() { started <- pc.Start(ctx, "--paused") }()
	for _, err := os.Lstat(vhostSocket("pc")); err != nil; _, err = os.Lstat(vhostSocket("pc")) {
		rig.Pause(ctx, t, 20*time.Millisecond)
	}
	h.startHostd(ctx, t)
	begun := time.Now()
	if err := <-started; err != nil {
		t.Error(err)
	}
	t.Logf("it was started %s after hostd was back", time.Since(begun).Round(time.Millisecond))
	h.hostd.AwaitGuest(ctx, t, "pc", "hostd is connected to its QEMU", connected)
	h.destroy(ctx, t, pc, "pc")
	if err := os.Remove(folder); err != nil { // hostd has not made it
		t.Error(err)
	}
	h.only(ctx, t)
}

// fileIn is what a file in the guest begins with.
func fileIn(ctx context.Context, t *testing.T, d *rig.Domain, path string) string {
	t.Helper()
	// A pause, so that it is told before its end is read.
	r, err := d.Read(ctx, rig.Reading{Path: path, Keep: true, Chunk: 4096, Pause: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	p, err := r.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	return string(p.Data)
}

// definition is a domain as it is from its next start on.
func definition(ctx context.Context, t *testing.T, d *rig.Domain) string {
	t.Helper()
	text, err := rig.Virsh(ctx, "dumpxml", "--inactive", d.UUID)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// findings are what hostd libvirt doctor says.
func (h *host) findings(ctx context.Context, t *testing.T) (found []doctor.Finding) {
	t.Helper()
	said, failed := h.hostdSays(ctx, "libvirt", "doctor", "--json") // a fault makes it fail
	if err := json.Unmarshal([]byte(said), &found); err != nil {
		t.Fatal(err, failed)
	}
	return found
}
