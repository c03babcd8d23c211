//go:build linux

package libvirt

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"headgate/hostd/control"
	"headgate/integration/rig"
)

const (
	hookLimit  = time.Second           // whatever hostd does
	hookNormal = 50 * time.Millisecond // where hostd answers, or is not there at all
)

// TestHook shows that a domain starts whatever state hostd is in, that its hook
// never takes more than a second, and that nothing is left over of what libvirt
// told while hostd hung.
func TestHook(t *testing.T) {
	h := theHost(t)
	ctx := rig.Within(t, 3*time.Minute)
	h.hooked(ctx, t)
	times := h.timeHook(t)
	steady := shell(t, "steady", "c3f2a4de-52fb-4d5c-8c0e-6d2ad0a2d001", policy(`class="gold"`), egd(guestSocket("steady")))
	fleeting := shell(t, "fleeting", "c3f2a4de-52fb-4d5c-8c0e-6d2ad0a2d002", policy(`class="gold"`), egd(guestSocket("fleeting")))

	cycle := func(t *testing.T, d *rig.Domain) {
		t.Helper()
		start(ctx, t, d, "--paused")
		if err := d.Destroy(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name    string
		is      func(t *testing.T) (back func())
		answers bool // without delay
		cycles  int
	}{
		{"well", func(*testing.T) func() { return func() {} }, true, 5},
		{"stopped", h.stopped(ctx), true, 1},
		{"killed", h.killed(ctx), true, 1},
		{"hung", h.hung, false, 1},
		{"slow", h.slow(300 * time.Millisecond), false, 1},
		{"very slow", h.slow(20 * time.Second), false, 1},
	} {
		t.Run("hostd "+c.name, func(t *testing.T) {
			back := c.is(t)
			begun := time.Now()
			for range c.cycles {
				cycle(t, fleeting)
			}
			start(ctx, t, steady, "--paused")
			t.Logf("%d starts and %d ends took virsh %s", c.cycles+1, c.cycles, time.Since(begun).Round(time.Millisecond))
			took := times.take(t)
			back()
			t.Logf("the hook took %s", took)
			if n := len(took.all); n != 3*(c.cycles+1)+2*c.cycles {
				t.Errorf("the hook ran %d times", n)
			}
			if most := took.most(); most > hookLimit {
				t.Errorf("the hook took %s, want at most %s", most, hookLimit)
			}
			// The median: this machine may be busy with something else at times.
			if median := took.median(); c.answers && median > hookNormal {
				t.Errorf("the hook took %s in the median, want at most %s", median, hookNormal)
			}
			begun = time.Now()
			h.only(ctx, t, "steady")
			h.hostd.AwaitGuest(ctx, t, "steady", "its QEMU is connected", connected)
			t.Logf("hostd has what runs, and nothing else, by %s after it is well", time.Since(begun).Round(time.Millisecond))
			h.destroy(ctx, t, steady, "steady")
			h.only(ctx, t)
			times.take(t)
		})
	}
}

func (h *host) stopped(ctx context.Context) func(*testing.T) func() {
	return func(t *testing.T) func() {
		if _, err := h.hostd.Terminate(5 * time.Second); err != nil {
			t.Fatal(err)
		}
		return func() { h.startHostd(ctx, t) }
	}
}

func (h *host) killed(ctx context.Context) func(*testing.T) func() {
	return func(t *testing.T) func() {
		h.hostd.Kill()
		return func() { h.startHostd(ctx, t) }
	}
}

func (h *host) hung(t *testing.T) func() {
	h.hostd.Freeze()
	t.Cleanup(h.hostd.Thaw) // also of a failed test
	return h.hostd.Thaw
}

// slow puts somebody between who holds each of hostd's answers back.
func (h *host) slow(delay time.Duration) func(*testing.T) func() {
	return func(t *testing.T) func() {
		real := h.hostd.Control + ".real"
		if err := os.Rename(h.hostd.Control, real); err != nil {
			t.Fatal(err)
		}
		listener, err := net.Listen("unix", h.hostd.Control)
		if err != nil {
			t.Fatal(err)
		}
		listener.(*net.UnixListener).SetUnlinkOnClose(false)
		ctx, stop := context.WithCancel(t.Context())
		var tasks sync.WaitGroup
		tasks.Go(func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				tasks.Go(func() { relay(ctx, conn, real, delay) })
			}
		})
		back := sync.OnceFunc(func() {
			stop()
			listener.Close()
			tasks.Wait()
			if err := os.Rename(real, h.hostd.Control); err != nil {
				t.Error(err)
			}
		})
		t.Cleanup(back)
		return back
	}
}

func relay(ctx context.Context, conn net.Conn, path string, delay time.Duration) {
	defer conn.Close()
	to, err := net.Dial("unix", path)
	if err != nil {
		return
	}
	defer to.Close()
	defer context.AfterFunc(ctx, func() { conn.Close(); to.Close() })()
	var tasks sync.WaitGroup
	tasks.Go(func() {
		_, _ = io.Copy(to, conn)
		to.Close()
	})
	answer := make([]byte, 4096)
	for {
		n, err := to.Read(answer)
		if err != nil {
			break
		}
		select {
		case <-time.After(delay):
		case <-ctx.Done():
		}
		if _, err := conn.Write(answer[:n]); err != nil {
			break
		}
	}
	conn.Close()
	tasks.Wait()
}

// only waits until hostd has these guests of libvirt's and no other, and nothing
// but their sockets is in the folder of those.
func (h *host) only(ctx context.Context, t *testing.T, want ...string) {
	t.Helper()
	slices.Sort(want)
	h.hostd.Await(ctx, t, fmt.Sprintf("libvirt's guests, and the sockets, are %v", want), func(s control.Status) bool {
		var have []string
		for _, g := range s.Guests {
			if g.Origin == control.OriginLibvirt {
				have = append(have, g.Name)
			}
		}
		return slices.Equal(have, want) && slices.Equal(sockets(t), want)
	})
}

// sockets are the files in the folder of the guests' sockets, by their guests.
func sockets(t *testing.T) (names []string) {
	t.Helper()
	files, err := os.ReadDir(guests)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, f := range files {
		names = append(names, strings.TrimSuffix(f.Name(), ".sock"))
	}
	return names
}
