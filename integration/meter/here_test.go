//go:build linux

package meter

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"headgate/hostd/cgroup"
	"headgate/hostd/control"
	"headgate/integration/need"
	"headgate/integration/rig"
)

// little is what is read of a /dev/hwrng that may be a slow one: a virtual machine's often
// gives some 10 kB/s.
const little = 16 << 10

// TestHere shows on this machine's own kernel, whatever it is, that hostd serves, and that
// its meter counts to the byte or says why it does not.
func TestHere(t *testing.T) {
	for mode, how := range modes() {
		t.Run(how, func(t *testing.T) { here(t, mode, how) })
	}
}

func here(t *testing.T, mode, how string) {
	need.Root(t, "nobody else may attach anything to the kernel")
	ctx := rig.Within(t, time.Minute)
	h := host{rig.Hostd(t, build(t).hostd, rig.Dir(t), "meter = \""+mode+"\"\n"+rig.Sound)}
	s := h.Await(ctx, t, "the meter is up, or says why not", func(s control.Status) bool {
		return s.Meter.Up || !strings.Contains(s.Meter.Error, "being attached")
	})
	if s.Meter.Mode != mode {
		t.Errorf("the meter's mode is %q, want %s", s.Meter.Mode, mode)
	}
	if !s.Meter.Up {
		h.says(ctx, t, s.Meter.Error, how)
		return
	}
	if how == "fentry" {
		how = s.Meter.Ways[0].How // without BTF it is kprobes
	}
	h.counts(ctx, t, how)
}

// host is a hostd on this machine.
type host struct{ *rig.Daemon }

// says: whoever asks for what there is not is told why, in words that name what is wanted.
func (h host) says(ctx context.Context, t *testing.T, why, how string) {
	t.Logf("the status says: %s", why)
	out, err := h.command(ctx, top()...).CombinedOutput()
	t.Logf("hostd rng top says: %s", out)
	if err == nil {
		t.Error("hostd rng top has succeeded without a meter")
	}
	for _, text := range []string{why, string(out)} {
		if !strings.Contains(text, how) {
			t.Errorf("%q does not say what is lacking of %s", text, how)
		}
	}
}

// counts is what a guest's is, among all the others that read here.
func (h host) counts(ctx context.Context, t *testing.T, how string) {
	folder, path := ownCgroup(t)
	all, library := readers(folder, path), library(folder, path)
	all[0].bytes = little
	var running []*exec.Cmd
	for _, r := range append(all, library) {
		running = append(running, r.start(ctx, t))
	}
	now := h.top(ctx, t)
	now.consistent(t, how)
	library.checkLibrary(t, now)
	for _, r := range all {
		r.check(t, now, false)
	}
	for _, cmd := range running {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", cmd.Path, err)
		}
	}
	after := h.top(ctx, t)
	for _, r := range all {
		r.check(t, after, true)
	}
}

func (h host) command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, filepath.Join(shared, "hostd"), append(args, "--control", h.Control)...)
}

func (h host) top(ctx context.Context, t *testing.T) shown {
	t.Helper()
	out, err := h.command(ctx, top()...).Output()
	if err != nil {
		t.Fatalf("hostd rng top: %v", err)
	}
	return parsed(t, string(out))
}

// ownCgroup makes a cgroup that ends with the test, and returns its folder and its path.
func ownCgroup(t *testing.T) (folder, path string) {
	t.Helper()
	mount, err := cgroup.Mounted()
	if err != nil {
		need.Unmet(t, err)
	}
	folder, err = os.MkdirTemp(mount.Point, "headgate-test-")
	if err != nil {
		need.Unmet(t, "no cgroup can be made: ", err)
	}
	t.Cleanup(func() { removed(t, folder) })
	return folder, mount.Path(folder)
}

func removed(t *testing.T, folder string) {
	t.Helper()
	if err := os.Remove(folder); err != nil {
		t.Error(err)
	}
}

// start starts the program here, and returns when it has read all.
func (r *reader) start(ctx context.Context, t *testing.T) *exec.Cmd {
	t.Helper()
	if err := os.Mkdir(r.cgroup, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removed(t, r.cgroup) })
	// A link: the process has its name.
	file := filepath.Join(rig.Dir(t), r.name)
	if err := os.Symlink(build(t).reader, file); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, file, r.args("/dev/stdout")...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	r.pid = cmd.Process.Pid
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = cmd.Wait()
		t.Fatalf("%s: %v: %s", r.name, err, stderr.String())
	}
	r.said(t, line)
	return cmd
}
