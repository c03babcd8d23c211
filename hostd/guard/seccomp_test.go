package guard

import (
	"errors"
	"net"
	"os/exec"
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestConfine(t *testing.T) {
	apart(t, func(t *testing.T) {
		before := thread(t)
		if err := Confine(false); err != nil {
			t.Fatal(err)
		}
		confined := func() {
			for _, family := range []int{unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK, unix.AF_PACKET, unix.AF_VSOCK, unix.AF_SMC, unix.AF_TIPC, unix.AF_ALG} {
				refusedWith(t, unix.EAFNOSUPPORT, family, unix.SOCK_DGRAM, 0)
			}
			if _, err := unix.Socketpair(unix.AF_TIPC, unix.SOCK_STREAM, 0); !errors.Is(err, unix.EAFNOSUPPORT) {
				t.Errorf("socketpair: %v", err)
			}
			var parameters [120]byte
			if _, err := ring(&parameters); !errors.Is(err, unix.EPERM) {
				t.Errorf("io_uring_setup: %v", err)
			}
			if _, err := unix.PidfdGetfd(0, 0, 0); !errors.Is(err, unix.EPERM) {
				t.Errorf("pidfd_getfd: %v", err)
			}
			unixWorks(t)
		}
		confined()
		before(confined)

		l, err := net.Listen("unix", t.TempDir()+"/socket")
		if err != nil {
			t.Fatalf("a unix socket: %v", err)
		}
		_ = l.Close()
		if err := exec.Command("true").Run(); err != nil {
			t.Errorf("another program: %v", err)
		}
		if errno, _ := curious(t, "curious"); errno != unix.EAFNOSUPPORT {
			t.Errorf("another program's socket: %v", errno)
		}
	})
}

func TestConfineCounted(t *testing.T) {
	apart(t, func(t *testing.T) {
		g := attached(t)
		before := thread(t)
		if err := Confine(true); err != nil {
			t.Fatal(err)
		}
		confined := func() {
			refusedWith(t, unix.EPERM, unix.AF_INET, unix.SOCK_STREAM, 0)
			refusedWith(t, unix.EPERM, unix.AF_INET6, unix.SOCK_STREAM, 0)
			refusedWith(t, unix.EAFNOSUPPORT, unix.AF_NETLINK, unix.SOCK_RAW, 0)
			refusedWith(t, unix.EAFNOSUPPORT, unix.AF_SMC, unix.SOCK_STREAM, 0)
			unixWorks(t)
		}
		confined()
		before(confined)
		if errno, _ := curious(t, "curious"); errno != unix.EPERM {
			t.Errorf("another program's socket: %v", errno)
		}
		if got := g.Refused(); got.Inet != 3 || got.Inet6 != 2 {
			t.Errorf("refused: %+v", got)
		}
		if err := Latch(); err != nil {
			t.Fatal(err)
		}
	})
}

// Also root, that keeps CAP_SYS_ADMIN, can attach nothing. What was counted is read.
func TestLatch(t *testing.T) {
	apart(t, func(t *testing.T) {
		g := attached(t)
		refusedWith(t, unix.EPERM, unix.AF_INET, unix.SOCK_STREAM, 0)
		before := thread(t)
		if err := Confine(true); err != nil {
			t.Fatal(err)
		}
		if err := Latch(); err != nil {
			t.Fatal(err)
		}
		latched := func() {
			if got := g.Refused(); got.Inet == 0 || len(got.By) != 1 {
				t.Errorf("refused: %+v", got)
			}
			if err := g.objects.SlotOf.Put(programWho{}, uint32(0)); !errors.Is(err, unix.EPERM) {
				t.Errorf("change a table: %v", err)
			}
			if _, err := Attach(); !errors.Is(err, unix.EPERM) {
				t.Errorf("attach another: %v", err)
			}
			if _, err := unix.PerfEventOpen(&unix.PerfEventAttr{}, 0, -1, -1, 0); !errors.Is(err, unix.EPERM) {
				t.Errorf("perf_event_open: %v", err)
			}
		}
		latched()
		before(latched)
	})
}

// A filter does to each call what it should: by running it as the kernel would.
func TestFilter(t *testing.T) {
	const allow = unix.SECCOMP_RET_ALLOW
	errno := func(e unix.Errno) uint32 { return unix.SECCOMP_RET_ERRNO | uint32(e) }
	no, never := errno(unix.EAFNOSUPPORT), errno(unix.EPERM)

	type call struct{ number, argument, want uint32 }
	check := func(t *testing.T, program []unix.SockFilter, calls func(arch) []call) {
		for _, a := range arches {
			for _, bit := range []uint32{0, ^a.mask} { // x32
				for _, c := range append(calls(a), call{2, unix.AF_INET, allow}) {
					if c.number == nothing {
						continue
					}
					if got := run(t, program, a.audit, c.number|bit, c.argument); got != c.want {
						t.Errorf("arch %#x, call %d(%d): %#x, want %#x", a.audit, c.number|bit, c.argument, got, c.want)
					}
				}
			}
		}
		if got := run(t, program, unix.AUDIT_ARCH_S390X, 1, 0); got != errno(unix.ENOSYS) {
			t.Errorf("another architecture: %#x", got)
		}
	}
	sockets := func(inet uint32, families ...uint32) {
		check(t, filter(func(a arch) []unix.SockFilter { return a.sockets(families) }), func(a arch) []call {
			return []call{
				{a.socket, unix.AF_UNIX, allow},
				{a.socket, unix.AF_INET, inet},
				{a.socket, unix.AF_INET6, inet},
				{a.socket, unix.AF_NETLINK, no},
				{a.socket, 0, no},
				{a.socketpair, unix.AF_UNIX, allow},
				{a.socketpair, unix.AF_TIPC, no},
				{a.multiplex, unix.AF_UNIX, no},
				{ioUringSetup, 0, never},
				{pidfdGetfd, 0, never},
				{a.bpf, unix.BPF_PROG_LOAD, allow},
				{a.perf, 0, allow},
			}
		})
	}
	sockets(no, unix.AF_UNIX)
	sockets(allow, unix.AF_UNIX, unix.AF_INET, unix.AF_INET6)
	check(t, filter(arch.attaching), func(a arch) []call {
		return []call{
			{a.perf, 0, never},
			{a.bpf, unix.BPF_MAP_CREATE, never},
			{a.bpf, unix.BPF_MAP_UPDATE_ELEM, never},
			{a.bpf, unix.BPF_PROG_LOAD, never},
			{a.bpf, unix.BPF_LINK_DETACH, never},
			{a.bpf, unix.BPF_MAP_LOOKUP_ELEM, never},
			{a.socket, unix.AF_INET, allow},
		}
	})
}

// run is what the kernel does with a filter.
func run(t *testing.T, program []unix.SockFilter, audit, number, argument uint32) uint32 {
	t.Helper()
	seen := map[uint32]uint32{offsetNumber: number, offsetArch: audit, offsetArgument: argument}
	var accumulator uint32
	for at := 0; at < len(program); at++ {
		switch i := program[at]; i.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			accumulator = seen[i.K]
		case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K:
			accumulator &= i.K
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			if accumulator == i.K {
				at += int(i.Jt)
			} else {
				at += int(i.Jf)
			}
		case unix.BPF_RET | unix.BPF_K:
			return i.K
		default:
			t.Fatalf("instruction %d has the code %#x", at, i.Code)
		}
	}
	t.Fatal("the filter has no end")
	return 0
}

// thread starts a thread, and gives what runs a function on it.
func thread(t *testing.T) func(func()) {
	t.Helper()
	work, done, ready := make(chan func()), make(chan struct{}), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		close(ready)
		for f := range work {
			f()
			done <- struct{}{}
		}
	}()
	<-ready
	t.Cleanup(func() { close(work) })
	return func(f func()) { work <- f; <-done }
}

// ring makes an io_uring.
func ring(parameters *[120]byte) (int, error) {
	fd, _, errno := unix.Syscall(ioUringSetup, 1, uintptr(unsafe.Pointer(parameters)), 0)
	if errno != 0 {
		return 0, errno
	}
	return int(fd), nil
}
