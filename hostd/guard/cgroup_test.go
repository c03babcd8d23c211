package guard

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"headgate/hostd/cgroup"
	"headgate/integration/need"
)

func TestOwnCgroup(t *testing.T) {
	apart(t, func(t *testing.T) {
		from, folder := here(t), mine(t)
		left := filepath.Join(folder, prefix+"999999999") // above pid_max: nobody's
		if err := os.Mkdir(left, 0o755); err != nil {
			t.Fatal(err)
		}
		before := descriptors(t)
		g := attached(t)
		if want := filepath.Join(from, prefix+pid()); g.Cgroup() != want || here(t) != want {
			t.Errorf("in %s, and says %s, want %s", here(t), g.Cgroup(), want)
		}
		absent(t, left)
		if err := g.Close(); err != nil {
			t.Fatal(err)
		}
		if here(t) != from {
			t.Errorf("in %s after Close, came from %s", here(t), from)
		}
		absent(t, filepath.Join(folder, prefix+pid()))
		if after := descriptors(t); after != before {
			t.Errorf("%d descriptors are open, were %d", after, before)
		}
	})
}

// A cgroup that the process is alone in is kept, as a service has it: by a user with the
// three capabilities and no more.
func TestService(t *testing.T) {
	if outside(t) {
		apart(t, nil, within(t, made(t)), nobody(unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON))
		return
	}
	kept(t)
}

// ProtectControlGroups= of a service.
func TestReadOnly(t *testing.T) {
	if outside(t) {
		apart(t, nil, within(t, made(t)), mounts)
		return
	}
	readOnly(t)
	kept(t)
}

func kept(t *testing.T) {
	t.Helper()
	before := here(t)
	g := attached(t)
	if g.Cgroup() != before || here(t) != before {
		t.Errorf("in %s, and says %s, was in %s", here(t), g.Cgroup(), before)
	}
	refusedWith(t, unix.EPERM, unix.AF_INET6, unix.SOCK_STREAM, 0)
	if got := g.Refused(); got.Inet6 != 1 {
		t.Errorf("refused: %+v", got)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	if here(t) != before {
		t.Errorf("in %s after Close, was in %s", here(t), before)
	}
}

// Where others are in the process's cgroup, or below it, it is not kept.
func TestNotAlone(t *testing.T) {
	if outside(t) {
		folder := made(t)
		neighbour(t, folder)
		apart(t, nil, within(t, folder))
		return
	}
	before := here(t)
	g := attached(t)
	if want := filepath.Join(before, prefix+pid()); g.Cgroup() != want {
		t.Errorf("attached to %s, want %s", g.Cgroup(), want)
	}
}

func TestNotAloneBelow(t *testing.T) {
	if outside(t) {
		folder := made(t)
		below := filepath.Join(folder, "below")
		if err := os.Mkdir(below, 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Remove(below) })
		neighbour(t, below)
		apart(t, nil, within(t, folder))
		return
	}
	before := here(t)
	g := attached(t)
	if want := filepath.Join(before, prefix+pid()); g.Cgroup() != want {
		t.Errorf("attached to %s, want %s", g.Cgroup(), want)
	}
}

// A cgroup is found where a mount shows it whose root is not "/", and whose place is another.
func TestOtherMount(t *testing.T) {
	if outside(t) {
		folder := made(t)
		neighbour(t, folder)
		apart(t, nil, within(t, folder), mounts)
		return
	}
	folder, place := mine(t), filepath.Join(t.TempDir(), "with space")
	if err := os.Mkdir(place, 0o755); err != nil {
		t.Fatal(err)
	}
	mount(t, folder, place, unix.MS_BIND)
	point, err := cgroup.Mounted()
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Unmount(point.Point, unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	if got := mine(t); got != place {
		t.Fatalf("found in %s, want %s", got, place)
	}
	attached(t)
	if _, err := os.Stat(filepath.Join(place, prefix+pid())); err != nil {
		t.Error(err)
	}
	refusedWith(t, unix.EPERM, unix.AF_INET, unix.SOCK_STREAM, 0)
}

// mounts gives the process mounts of its own.
func mounts(cmd *exec.Cmd) { cmd.SysProcAttr.Unshareflags = unix.CLONE_NEWNS }

func mount(t *testing.T, from, to string, flags uintptr) {
	t.Helper()
	if err := unix.Mount(from, to, "tmpfs", flags, ""); err != nil {
		t.Fatalf("mount %s at %s: %v", from, to, err)
	}
	t.Cleanup(func() { _ = unix.Unmount(to, unix.MNT_DETACH) })
}

// readOnly makes the mount that the cgroup is found at read-only.
func readOnly(t *testing.T) {
	t.Helper()
	folder := mine(t)
	mount(t, folder, folder, unix.MS_BIND)
	mount(t, folder, folder, unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY)
}

// nobody is a user with no more than these capabilities.
func nobody(capabilities ...uintptr) func(*exec.Cmd) {
	return func(cmd *exec.Cmd) {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
		cmd.SysProcAttr.AmbientCaps = capabilities
	}
}

// neighbour is another process in the cgroup.
func neighbour(t *testing.T, folder string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sleep", "60")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	within(t, folder)(cmd)
	if err := cmd.Start(); err != nil {
		need.Unmet(t, err)
	}
	t.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
}

// mine is where the cgroup of this process is.
func mine(t *testing.T) string {
	t.Helper()
	_, folder, err := find()
	if err != nil {
		need.Unmet(t, err)
	}
	return folder
}

func descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}

func absent(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", path, err)
	}
}
