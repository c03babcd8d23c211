//go:build linux

package guard

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"headgate/hostd/control"
	"headgate/integration/rig"
	"headgate/kvm/vhost/vhosttest"
)

// TestUnixSocketsWork shows that the guard keeps hostd from nothing that it does: guests
// are fed at each kind of pipe, and it is told what to do over its control socket.
func TestUnixSocketsWork(t *testing.T) {
	ctx := rig.Within(t, time.Minute)
	dir := rig.Dir(t)
	strict, strictAt := guest("strict", "egd", dir)
	qemu, qemuAt := guest("qemu", "qemu", dir)
	d := rig.Hostd(t, needed(t).hostd, dir, require+rig.Sound+open+strict+qemu)
	draw(ctx, t, strictAt)
	draw(ctx, t, qemuAt)
	client := control.Dial(d.Control)
	defer client.Close()
	if err := client.Reload(ctx); err != nil {
		t.Error(err)
	}
	if s := status(ctx, t, d); s.Guard.Refused.Inet+s.Guard.Refused.Inet6 != 0 {
		t.Errorf("hostd itself has tried to reach the network: %+v", s.Guard.Refused)
	}
}

// TestSocketInAMessage shows that a guest's QEMU can hand hostd no socket of the network
// in place of the memory or an eventfd of a vhost-user device: the connection ends, and
// hostd keeps nothing of it.
func TestSocketInAMessage(t *testing.T) {
	ctx := rig.Within(t, time.Minute)
	dir := rig.Dir(t)
	text, path := guest("hostile", "vhost-user", dir)
	text = strings.Replace(text, path, path+",server=on", 1)
	d := rig.Hostd(t, needed(t).hostd, dir, require+rig.Sound+open+text)
	tcp := socket(t, unix.AF_INET, unix.SOCK_STREAM, 0)
	memory, fds := vhosttest.MemTable(vhosttest.Region{Size: 4096, FD: int(tcp.Fd())})
	before := sockets(t, d)
	for _, m := range []struct {
		name    string
		request vhosttest.Request
		payload []byte
	}{
		{"memory", vhosttest.SetMemTable, memory},
		{"an eventfd", vhosttest.SetVringCall, vhosttest.Longs(0)},
	} {
		front, err := vhosttest.New(vhosttest.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(front.Close)
		if err := front.Dial(ctx, path); err != nil {
			t.Fatal(err)
		}
		if err := front.Start(ctx); err != nil {
			t.Fatal(err)
		}
		if err := front.Set(m.request, m.payload, fds...); err != nil {
			t.Fatal(err)
		}
		select {
		case <-front.Gone():
		case <-ctx.Done():
			t.Fatal("hostd does not hang up on a socket in place of ", m.name)
		}
	}
	d.AwaitGuest(ctx, t, "hostile", "it is gone", func(g control.GuestStatus) bool { return !g.Pipes[0].Connected })
	for now := sockets(t, d); now > before; now = sockets(t, d) {
		rig.Pause(ctx, t, 50*time.Millisecond)
	}
}

// sockets is how many hostd has, but for those at which it is asked this moment.
func sockets(t *testing.T, d *rig.Daemon) (n int) {
	t.Helper()
	list, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", d.PID()))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range list {
		if to, err := os.Readlink(file); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}
