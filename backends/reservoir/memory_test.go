package reservoir

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TestMemory asks the kernel what it thinks of the reservoir's memory.
func TestMemory(t *testing.T) {
	r, err := New(Config{Size: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	flags, locked := mapping(t, &r.ring.mem[0])
	for flag, promise := range map[string]string{
		"lo": "is locked", "dd": "is in no core dump", "wf": "is wiped on fork",
	} {
		if !slices.Contains(flags, flag) {
			t.Errorf("no promise that it %s: flags %v have no %q", promise, flags, flag)
		}
	}
	if locked != "64 kB" {
		t.Errorf("%s locked, want 64 kB", locked)
	}
}

// mapping finds the VmFlags and the locked size in proc_pid_smaps(5).
func mapping(t *testing.T, at *byte) (flags []string, locked string) {
	t.Helper()
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	start := fmt.Sprintf("%x-", uintptr(unsafe.Pointer(at)))
	here := false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), ":")
		switch {
		case strings.HasPrefix(key, start):
			here = true
		case here && key == "Locked":
			locked = strings.TrimSpace(value)
		case here && key == "VmFlags":
			return strings.Fields(value), locked
		}
	}
	t.Fatalf("no mapping starts at %s", start)
	return nil, ""
}

// TestLockRefused takes the right to lock memory from this thread and expects
// an error that says what to do about it.
func TestLockRefused(t *testing.T) {
	runtime.LockOSThread() // never unlocked: the thread, which lost a capability, ends with the test
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: 4096, Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &limit); err != nil {
			t.Error(err)
		}
	}()
	dropIPCLock(t)

	r, err := New(Config{Size: 64 << 10})
	if err == nil {
		r.Close()
		t.Fatal("New succeeds with memory that cannot be locked")
	}
	if !errors.Is(err, unix.ENOMEM) && !errors.Is(err, unix.EPERM) {
		t.Errorf("the cause is lost: %v", err)
	}
	for _, want := range []string{"65536 bytes", "4096 bytes", "LimitMEMLOCK", "ulimit -l"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

func dropIPCLock(t *testing.T) {
	t.Helper()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData // VERSION_3 has 64 bits in two words
	if err := unix.Capget(&header, &sets[0]); err != nil {
		t.Fatal(err)
	}
	sets[0].Effective &^= 1 << unix.CAP_IPC_LOCK
	if err := unix.Capset(&header, &sets[0]); err != nil {
		t.Fatal(err)
	}
}
