//go:build linux

package libvirt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"headgate/hostd/control"
	"headgate/integration/rig"
	"headgate/wire/feed"
)

// renewedWithin is how soon after libvirt's event that a domain goes on its guestd has
// reseeded on a push.
const renewedWithin = 500 * time.Millisecond

// TestPutBack puts a guest back to an earlier state that has guestd and its port, and
// no other sign of it. A loadvm in the QEMU that it has gives it no new connection, and
// libvirt tells of it as of a pause and its end. A snapshot and a saved file get it a
// new QEMU, whose connection begins with a push. Each time guestd has reseeded on a push
// right after the guest goes on.
func TestPutBack(t *testing.T) {
	h := theHost(t)
	ctx := rig.Within(t, 2*time.Minute)
	h.hooked(ctx, t)
	const name = "twin"
	d := h.machine(t, name, "7f0d6c1e-52ce-4c53-9d5e-6f1d3c4b5a01", "", port(filepath.Join(guests, name+".port")))
	start(ctx, t, d)
	if err := d.Booted(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Init.Start(ctx, "guestd"); err != nil {
		t.Fatal(err)
	}
	g := h.hostd.AwaitGuest(ctx, t, name, "guestd has seeded the kernel", func(g control.GuestStatus) bool { return g.SeededSeconds > 0 })
	t.Logf("guestd said so %s after QEMU had connected", inSeconds(g.SeededSeconds).Round(time.Millisecond))

	heard := listen(ctx, t, name)
	virsh := func(args ...string) func() error {
		return func() error {
			_, err := rig.Virsh(ctx, args...)
			return err
		}
	}
	monitor := func(command string) func() error { return virsh("qemu-monitor-command", d.UUID, "--hmp", command) }
	file := filepath.Join(rig.Private, name+".save")
	for _, c := range []struct {
		name string
		do   func() error
		push string // the event of hostd's with which it is pushed to
	}{
		{"savevm", monitor("savevm S"), inPlace},
		{"loadvm", monitor("loadvm S"), inPlace},
		{"loadvm again", monitor("loadvm S"), inPlace},
		{"snapshot-create", func() error { return d.Snapshot(ctx, "kept") }, inPlace},
		{"snapshot-revert", func() error { return d.Revert(ctx, "kept") }, newQEMU},
		{"restore", func() error { return errors.Join(d.Save(ctx, file), d.Restore(ctx, file)) }, newQEMU},
		{"restore, paused", func() error {
			return errors.Join(d.Save(ctx, file), virsh("restore", file, "--paused")(), virsh("resume", d.UUID)())
		}, newQEMU},
	} {
		last, since := h.hostd.LastEvent(ctx, t), time.Now()
		if err := c.do(); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		resumed := heard.await(ctx, t, since, "Resumed ")
		took := max(h.reseeded(ctx, t, last, name, c.push).Sub(resumed), 0) // virsh may be told after guestd was
		t.Logf("%s: guestd had reseeded on a push %s after libvirt's event", c.name, took.Round(time.Millisecond))
		if took > renewedWithin {
			t.Errorf("%s: guestd reseeded %s after libvirt's event, want at most %s", c.name, took, renewedWithin)
		}
		rig.Pause(ctx, t, 200*time.Millisecond) // what it says after that is no part of the next
	}
	h.destroy(ctx, t, d, name)
}

// What hostd says when it pushes to a guest.
const (
	inPlace = "guest_pushed"    // in the QEMU that it has
	newQEMU = "guest_connected" // every connection begins with a push
)

// port is guestd's, at a socket of hostd's.
func port(path string) string {
	return fmt.Sprintf(`<channel type='unix'>
      <source mode='connect' path='%s'><reconnect enabled='yes' timeout='1'/><seclabel model='dac' relabel='no'/></source>
      <target type='virtio' name='org.headgate.entropy.0'/>
    </channel>`, path)
}

// reseeded waits until guestd of a guest says that it has reseeded on a push, after
// hostd has told of that push, and returns when hostd heard it. On a machine that stood
// still meanwhile the guest's clock jumps as well, and guestd may say that.
func (h *host) reseeded(ctx context.Context, t *testing.T, last uint64, guest, push string) time.Time {
	t.Helper()
	for over := time.Now().Add(20 * time.Second); ; {
		pushed, all := false, h.hostd.Events(ctx, t, last)
		for _, e := range all {
			switch {
			case e.Subject != guest:
			case e.Kind == push:
				pushed = true
			case pushed && e.Kind == "guest_reseeded" && (e.Fields["reason"] == feed.ReasonPush || e.Fields["reason"] == feed.ReasonClock):
				return e.Time
			}
		}
		if time.Now().After(over) {
			t.Fatalf("%s has not reseeded on a push: %+v", guest, all)
		}
		rig.Pause(ctx, t, 20*time.Millisecond)
	}
}

// heard is what libvirt says of a domain, as virsh tells it.
type heard struct {
	mu    sync.Mutex
	lines []line
}

type line struct {
	at   time.Time
	text string
}

// listen has virsh tell of a domain until the test ends.
func listen(ctx context.Context, t *testing.T, domain string) *heard {
	t.Helper()
	cmd := exec.CommandContext(ctx, "virsh", "--connect", "qemu:///system", "event", "--domain", domain, "--event", "lifecycle", "--loop", "--timestamp")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	h, done := &heard{}, make(chan struct{})
	go func() {
		defer close(done)
		for s := bufio.NewScanner(out); s.Scan(); {
			t.Logf("virsh event: %s", s.Text())
			at, text, _ := strings.Cut(s.Text(), ": event ")
			when, err := time.Parse("2006-01-02 15:04:05.000-0700", at)
			if err != nil {
				continue
			}
			h.mu.Lock()
			h.lines = append(h.lines, line{when, text})
			h.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
		_ = cmd.Wait()
	})
	return h
}

// await waits for what libvirt says after a moment, and returns when it said so.
func (h *heard) await(ctx context.Context, t *testing.T, since time.Time, what string) time.Time {
	t.Helper()
	for over := time.Now().Add(10 * time.Second); ; {
		h.mu.Lock()
		for _, l := range h.lines {
			if l.at.After(since) && strings.Contains(l.text, ": "+what) {
				h.mu.Unlock()
				return l.at
			}
		}
		h.mu.Unlock()
		if time.Now().After(over) {
			t.Fatalf("libvirt has not said %q", what)
		}
		rig.Pause(ctx, t, 10*time.Millisecond)
	}
}
