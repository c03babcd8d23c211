//go:build linux

package meter

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"headgate/integration/rig"
)

const (
	cgroups    = "/sys/fs/cgroup" // of the guest
	inPatience = time.Minute      // on a machine that others use
	lasts      = 4 * time.Minute  // on a busy machine; some 40 s on one that is not
)

// guest is a machine with Debian's kernel that is the host to the hostd in it.
type guest struct{ *rig.Guest }

// TestGuest shows on Debian's kernel, which has fentry and kprobes, that by either a reader
// of 1 MiB in each of the four ways is counted to the byte, while it runs and when it has
// ended; that a guest whose QEMU reads past hostd is named; and what the meter's own tests
// want such a kernel for.
func TestGuest(t *testing.T) {
	image := image(t)
	ctx := rig.Within(t, lasts)
	g := guest{rig.BootGuest(t, rig.Config{
		Name: "host", Image: image.Image, Dir: rig.Dir(t), RNG: rig.RNGBuiltin, MemoryMiB: 512, CPUs: 2, Limit: lasts,
		Extra: usr(),
	})}
	t.Logf("booted within %s", g.Booted)
	if err := g.Insmod(ctx, rig.ModuleRNG); err != nil {
		t.Fatal(err)
	}
	g.mountUsr(ctx, t, image.modules)
	t.Run("units", func(t *testing.T) { g.units(ctx, t) })
	for mode, how := range modes() {
		t.Run(how, func(t *testing.T) {
			t.Run("killed", func(t *testing.T) { g.killed(ctx, t, mode) })
			g.serve(ctx, t, mode)
			g.counts(ctx, t, how)
			if how == "fentry" {
				t.Run("unmetered", func(t *testing.T) { g.unmetered(ctx, t) })
			}
		})
	}
}

// units runs those tests of the packages that hostd's meter is made of which attach
// something to the kernel: nothing is here what they may skip for. What a reader of 1 MiB
// shows is left to the others.
func (g guest) units(ctx context.Context, t *testing.T) {
	for _, program := range []string{"probe.test", "meter.test"} {
		out := g.sh(ctx, t, "METER=must "+program+" -test.v -test.run Attach -test.skip TestAttachedExact")
		t.Logf("%s:\n%s", program, out)
		if !strings.Contains(out, "--- PASS") || strings.Contains(out, "--- SKIP") {
			t.Errorf("%s has skipped a test, or has none", program)
		}
	}
}

// killed sees that of a hostd which is killed nothing stays attached, and no process.
func (g guest) killed(ctx context.Context, t *testing.T, mode string) {
	const hooks = "/sys/kernel/tracing/enabled_functions" // by fentry and by kprobes
	g.sh(ctx, t, "busybox grep -q ' /sys/kernel/tracing ' /proc/mounts || busybox mount -t tracefs tracefs /sys/kernel/tracing")
	before := g.sh(ctx, t, "busybox cat "+hooks)
	hostd := g.start(ctx, t, mode)
	if during := g.sh(ctx, t, "busybox cat "+hooks); !strings.Contains(during, "urandom_read_iter") || during == before {
		t.Errorf("the meter is attached to:\n%s", during)
	}
	begun := time.Now()
	g.sh(ctx, t, fmt.Sprintf("busybox kill -9 %d", hostd.PID))
	if after := g.soon(ctx, t, "busybox cat "+hooks, before); after != before {
		t.Errorf("left attached:\n%s", after)
	}
	detached := time.Since(begun)
	if _, err := hostd.Stop(ctx); err != nil {
		t.Error(err)
	}
	if left := g.soon(ctx, t, "busybox pgrep -f '[h]ostd meter' || true", ""); left != "" {
		t.Errorf("the meter's process goes on: %s", left)
	}
	t.Logf("after the kill: nothing attached within %s, no process within %s", detached.Round(time.Millisecond), time.Since(begun).Round(time.Millisecond))
}

// soon runs a script until it says what is wanted, and returns what it said last.
func (g guest) soon(ctx context.Context, t *testing.T, script, wanted string) string {
	t.Helper()
	for begun := time.Now(); ; {
		said := g.sh(ctx, t, script+"; busybox usleep 20000")
		if said == wanted || time.Since(begun) > inPatience/2 {
			return said
		}
	}
}

// start starts a hostd, and returns when its meter is there.
func (g guest) start(ctx context.Context, t *testing.T, mode string) *rig.Program {
	t.Helper()
	hostd, err := g.Start(ctx, "hostd", "serve", "--config", modeFile(mode))
	if err != nil {
		t.Fatal(err)
	}
	g.sh(ctx, t, "until hostd "+strings.Join(top(), " ")+" >/run/top 2>&1; do busybox usleep 20000; done")
	return hostd
}

// serve runs a hostd until the test ends.
func (g guest) serve(ctx context.Context, t *testing.T, mode string) {
	t.Helper()
	hostd := g.start(ctx, t, mode)
	t.Cleanup(func() {
		// Not the test's own context, which has ended.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), inPatience)
		defer cancel()
		if exit, err := hostd.Stop(ctx); err != nil || exit.Code != 0 || t.Failed() {
			t.Errorf("hostd in the guest ended: %v, %d; it said:\n%s", err, exit.Code, exit.Stderr)
		}
	})
}

// counts has all of them read.
func (g guest) counts(ctx context.Context, t *testing.T, how string) {
	all, library := readers(filepath.Join(cgroups, how), "/"+how), library(filepath.Join(cgroups, how), "/"+how)
	var running []*rig.Program
	for _, r := range append(all, library) {
		fifo := fmt.Sprintf("/run/%s.%s", how, r.name)
		g.sh(ctx, t, fmt.Sprintf("busybox mkdir -p %s; busybox mkfifo %s", r.cgroup, fifo))
		p, err := g.Start(ctx, append([]string{r.name}, r.args(fifo)...)...)
		if err != nil {
			t.Fatal(err)
		}
		r.pid = p.PID
		running = append(running, p)
	}
	for _, r := range append(all, library) {
		r.said(t, g.sh(ctx, t, fmt.Sprintf("busybox cat /run/%s.%s", how, r.name)))
	}
	now := g.top(ctx, t)
	now.consistent(t, how)
	library.checkLibrary(t, now)
	for _, r := range all {
		r.check(t, now, false)
	}

	for _, p := range running {
		if _, err := p.Stop(ctx); err != nil {
			t.Fatal(err)
		}
	}
	after := g.top(ctx, t)
	for _, r := range all {
		r.check(t, after, true)
	}
}

// top is what hostd rng top shows.
func (g guest) top(ctx context.Context, t *testing.T) shown {
	t.Helper()
	return parsed(t, g.sh(ctx, t, "hostd "+strings.Join(top(), " ")))
}

// sh runs a script in the guest and returns what it said.
func (g guest) sh(ctx context.Context, t *testing.T, script string) string {
	t.Helper()
	exit, err := g.Run(ctx, inPatience, "busybox", "sh", "-ec", script)
	if err != nil || exit.Code != 0 {
		t.Fatalf("%s: %v, %d %s\n%s%s", script, err, exit.Code, exit.Signal, exit.Stdout, exit.Stderr)
	}
	return exit.Stdout
}
