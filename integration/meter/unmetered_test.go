//go:build linux

package meter

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"headgate/hostd/control"
	"headgate/hostd/meter"
	"headgate/integration/rig"
)

// root is the folder in the guest that is the root to a QEMU: this machine's /usr is in it,
// with QEMU and what it is linked to.
const root = "/tmp/root"

// usr are the arguments of the guest's own QEMU that have it see this machine's /usr.
func usr() []string {
	return []string{"-virtfs", "local,path=/usr,mount_tag=usr,security_model=none,readonly=on"}
}

// mountUsr makes the root.
func (g guest) mountUsr(ctx context.Context, t *testing.T, modules []string) {
	t.Helper()
	if err := g.Insmod(ctx, modules...); err != nil {
		t.Fatal(err)
	}
	g.sh(ctx, t, strings.ReplaceAll(`
		busybox mkdir -p ROOT/usr ROOT/dev ROOT/run ROOT/tmp
		for d in bin lib lib64; do busybox ln -s usr/$d ROOT/$d; done
		busybox mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=262144 usr ROOT/usr
		busybox mount -o bind /dev ROOT/dev
		busybox mount -o bind /run ROOT/run`, "ROOT", root))
}

// fedSocket is where hostd serves the guest that it feeds.
const fedSocket = "/run/fed.sock"

// drinker is a QEMU and its guest, which reads virtio-rng.
type drinker struct {
	domain  string
	backend string    // of its virtio-rng
	way     meter.Way // past hostd; "": it is fed by hostd
	pid     int
}

// sip is what each of the guests reads, in bytes.
const sip = 32 << 10

// glib is what a QEMU reads of /dev/urandom itself at most, as GLib seeds generators: 16
// bytes each.
const glib = 64

// unmetered shows that a guest is named whose QEMU reads a device of the host itself, with
// what it took, and that one which hostd feeds is not.
func (g guest) unmetered(ctx context.Context, t *testing.T) {
	all := []*drinker{
		{domain: "fed", backend: "rng-egd,id=rng,chardev=egd"},
		{domain: "past", backend: "rng-random,id=rng,filename=/dev/urandom", way: meter.Urandom},
		{domain: "hard", backend: "rng-random,id=rng,filename=/dev/hwrng", way: meter.HWRNG},
	}
	for _, d := range all {
		g.drink(ctx, t, d)
	}
	for _, d := range all {
		pid, err := strconv.Atoi(strings.TrimSpace(g.sh(ctx, t, "busybox cat /run/"+d.domain)))
		if err != nil {
			t.Fatal(err)
		}
		d.pid = pid
	}
	var s control.Status
	if err := json.Unmarshal([]byte(g.sh(ctx, t, "hostd status --json")), &s); err != nil {
		t.Fatal(err)
	}
	for _, d := range all {
		d.check(t, s.Meter.Unmetered)
	}
	text := g.sh(ctx, t, "hostd status")
	t.Logf("hostd status:\n%s", text)
	if !strings.Contains(text, "past") || !strings.Contains(text, "hard") {
		t.Errorf("hostd status does not name the two that read past hostd")
	}
}

// drink starts the QEMU, with its name as libvirt writes it.
func (g guest) drink(ctx context.Context, t *testing.T, d *drinker) {
	t.Helper()
	fifo := "/run/" + d.domain
	g.sh(ctx, t, "busybox mkfifo "+fifo)
	args := []string{
		"bypass", "-root", root, "-say", fifo, "-bytes", fmt.Sprint(sip),
		"/usr/bin/" + rig.QEMU, "-name", "guest=" + d.domain + ",debug-threads=on",
		"-M", "microvm", "-m", "16", "-nodefaults", "-no-user-config", "-display", "none",
	}
	if d.way == "" {
		args = append(args, "-chardev", "socket,id=egd,path="+fedSocket)
	}
	p, err := g.Start(ctx, append(args, "-object", d.backend, "-device", "virtio-rng-device,rng=rng")...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if exit, err := p.Stop(context.WithoutCancel(ctx)); err != nil || exit.Code != 0 {
			t.Errorf("the QEMU of %s: %v: %+v", d.domain, err, exit)
		}
	})
}

func (d *drinker) check(t *testing.T, listed []control.Unmetered) {
	t.Helper()
	i := slices.IndexFunc(listed, func(u control.Unmetered) bool { return u.PID == d.pid })
	if d.way == "" {
		if i >= 0 {
			t.Errorf("%s is fed by hostd, and listed: %+v", d.domain, listed[i])
		}
		return
	}
	if i < 0 {
		t.Errorf("%s takes of %s past hostd, and is not listed: %+v", d.domain, d.way, listed)
		return
	}
	u := listed[i]
	t.Logf("%s has read %d bytes, listed is %+v", d.domain, sip, u)
	if u.Domain != d.domain || !slices.Equal(u.Ways, []meter.Way{d.way}) || u.Bytes < sip || u.Bytes > sip+glib {
		t.Errorf("%s has read %d bytes of %s, listed is %+v", d.domain, sip, d.way, u)
	}
}
