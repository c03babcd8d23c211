package guard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"headgate/hostd/cgroup"
	"headgate/integration/need"
)

// The guard moves a process, and what it gives up is gone: each test is in a process of
// its own, which is this binary again with one of these in its environment.
const (
	apartVariable = "HEADGATE_TEST_APART" // runs the one test that it names
	tryVariable   = "HEADGATE_TEST_TRY"   // makes an inet socket, and exits with the errno
)

func TestMain(m *testing.M) {
	if os.Getenv(tryVariable) != "" {
		_, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		var errno unix.Errno
		_ = errors.As(err, &errno) // 0 if there is none
		os.Exit(int(errno))
	}
	goleak.VerifyTestMain(m)
}

// apart runs the body in a process of its own, as root unless how says otherwise.
func apart(t *testing.T, body func(*testing.T), how ...func(*exec.Cmd)) {
	t.Helper()
	if !outside(t) {
		body(t)
		return
	}
	need.Root(t, "attaching to a cgroup takes CAP_BPF and CAP_NET_ADMIN")
	cmd := again(t.Context(), t.Name())
	for _, change := range how {
		change(cmd)
	}
	said, err := cmd.CombinedOutput()
	switch {
	case err != nil:
		t.Fatalf("in a process of its own: %v\n%s", err, said)
	case bytes.Contains(said, []byte("--- SKIP")):
		need.Unmet(t, fmt.Sprintf("in a process of its own:\n%s", said))
	case !bytes.Contains(said, []byte("--- PASS")):
		t.Fatalf("in a process of its own nothing was run:\n%s", said)
	}
	t.Logf("%s", said)
}

// outside says that this is not yet the process that the test is for.
func outside(t *testing.T) bool { return os.Getenv(apartVariable) != t.Name() }

// again is this binary with one test to run, for which outside is false.
func again(ctx context.Context, test string) *exec.Cmd {
	run := "-test.run=^" + strings.ReplaceAll(test, "/", "$/^") + "$"
	cmd := exec.CommandContext(ctx, "/proc/self/exe", run, "-test.v", "-test.timeout=50s")
	// The race detector waits for a second at each end otherwise.
	cmd.Env = append(os.Environ(), apartVariable+"="+test, "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// curious runs a child process of that name (comm) that makes an inet socket, and gives
// what it was answered.
func curious(t *testing.T, name string) (unix.Errno, int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path)
	cmd.Env = append(os.Environ(), tryVariable+"=1")
	_ = cmd.Run() // its exit status is the answer
	return unix.Errno(cmd.ProcessState.ExitCode()), cmd.Process.Pid
}

func attached(t *testing.T) *Guard {
	t.Helper()
	g, err := Attach()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

// refusedWith makes a socket that is not to be.
func refusedWith(t *testing.T, want error, family, kind, protocol int) {
	t.Helper()
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, protocol)
	if err == nil {
		_ = unix.Close(fd)
	}
	if !errors.Is(err, want) {
		t.Fatalf("socket(%d, %d, %d): %v, want %v", family, kind, protocol, err, want)
	}
}

func unixWorks(t *testing.T) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatalf("a pair of unix sockets: %v", err)
	}
	for _, fd := range pair {
		_ = unix.Close(fd)
	}
}

// made is a new cgroup for a test, below the one that the test is in.
func made(t *testing.T) string {
	t.Helper()
	need.Root(t, "a cgroup is made")
	_, folder, err := find()
	if err != nil {
		need.Unmet(t, err)
	}
	group, err := os.MkdirTemp(folder, "guarded-")
	if err != nil {
		need.Unmet(t, err)
	}
	t.Cleanup(func() {
		if err := os.Remove(group); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(group, 0o755); err != nil {
		t.Fatal(err)
	}
	return group
}

// within starts the process in the cgroup.
func within(t *testing.T, folder string) func(*exec.Cmd) {
	t.Helper()
	group, err := os.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = group.Close() })
	return func(cmd *exec.Cmd) {
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(group.Fd())
	}
}

// here is the cgroup that this process is in.
func here(t *testing.T) string {
	t.Helper()
	path, err := cgroup.Of(0)
	if err != nil {
		need.Unmet(t, err)
	}
	return path
}

func pid() string { return strconv.Itoa(os.Getpid()) }

func contains(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", words)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not say %q", err, word)
		}
	}
}
