package guard

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// arch is what one architecture of system calls calls those that make sockets.
type arch struct {
	audit      uint32 // AUDIT_ARCH_*: include/uapi/linux/audit.h
	mask       uint32 // of a number
	socket     uint32
	socketpair uint32
	multiplex  uint32 // socketcall(2), whose arguments no filter can see, or nothing
	bpf        uint32
	perf       uint32 // perf_event_open(2)
}

// nothing is no system call's number.
const nothing = ^uint32(0)

// The same on every architecture since Linux 5.1: include/uapi/asm-generic/unistd.h.
const (
	ioUringSetup = 425
	pidfdGetfd   = 438
)

// Confine has seccomp refuse, on all threads and in every program that is executed from
// then on, sockets of all families but AF_UNIX, and what gets sockets past that:
// io_uring_setup(2) and pidfd_getfd(2). If counted, inet sockets go on to the guard,
// which refuses them and counts. A 32-bit program has no sockets by socketcall(2). It
// sets no_new_privs, and cannot be undone.
func Confine(counted bool) error {
	families := []uint32{unix.AF_UNIX}
	if counted {
		families = append(families, unix.AF_INET, unix.AF_INET6)
	}
	err := install(func(a arch) []unix.SockFilter { return a.sockets(families) })
	if err != nil {
		return fmt.Errorf("confine to unix sockets: %w", err)
	}
	return nil
}

// Latch has seccomp refuse what attaches programs to the kernel: bpf(2) and
// perf_event_open(2). What Drop gives up is given up then also by who keeps
// CAP_SYS_ADMIN. It sets no_new_privs, and cannot be undone.
func Latch() error {
	if err := install(arch.attaching); err != nil {
		return fmt.Errorf("give up bpf(2): %w", err)
	}
	return nil
}

// install adds a filter to those that all threads have: the kernel asks each, and takes
// the strictest answer.
func install(of func(arch) []unix.SockFilter) error {
	filter := filter(of)
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	// no_new_privs is this thread's, until TSYNC gives both to the others.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	runtime.KeepAlive(filter)
	switch {
	case errno == unix.ENOSYS, errno == unix.EINVAL:
		return fmt.Errorf("%s has no seccomp filters: take one with CONFIG_SECCOMP_FILTER: %w", release(), errno)
	case errno != 0:
		return errno
	case thread != 0:
		return fmt.Errorf("thread %d has a seccomp filter that the others do not have", thread)
	}
	return nil
}

// Offsets in struct seccomp_data: include/uapi/linux/seccomp.h. A family is the lower half of the first argument, on little-endian machines the first.
const (
	offsetNumber   = 0
	offsetArch     = 4
	offsetArgument = 16
)

// filter is a program of classic BPF (Documentation/userspace-api/seccomp_filter.rst).
func filter(of func(arch) []unix.SockFilter) []unix.SockFilter {
	var f []unix.SockFilter
	for _, a := range arches {
		body := append(a.number(), of(a)...)
		f = append(f, load(offsetArch), equal(a.audit, 0, len(body)))
		f = append(f, body...)
	}
	return append(f, refuse(unix.ENOSYS)) // an architecture that this kernel has not
}

// number loads the number of the call.
func (a arch) number() []unix.SockFilter {
	return []unix.SockFilter{load(offsetNumber), {Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: a.mask}}
}

// sockets looks at an argument only for the calls that it is about: the kernel keeps a bitmap of those that it need not be run for.
func (a arch) sockets(families []uint32) []unix.SockFilter {
	return append([]unix.SockFilter{
		equal(ioUringSetup, 5, 0), // to EPERM
		equal(pidfdGetfd, 4, 0),
		equal(a.multiplex, 4, 0), // to EAFNOSUPPORT
		equal(a.socket, 4, 0),    // to the families
		equal(a.socketpair, 3, 0),
		answer(unix.SECCOMP_RET_ALLOW),
		refuse(unix.EPERM),
		refuse(unix.EAFNOSUPPORT),
	}, oneOf(families)...)
}

// attaching refuses what it takes. The guard's own counts are read without a call.
func (a arch) attaching() []unix.SockFilter {
	return []unix.SockFilter{
		equal(a.perf, 2, 0), // to EPERM
		equal(a.bpf, 1, 0),
		answer(unix.SECCOMP_RET_ALLOW),
		refuse(unix.EPERM),
	}
}

// oneOf allows a call whose first argument is one of the families.
func oneOf(families []uint32) []unix.SockFilter {
	f := []unix.SockFilter{load(offsetArgument)}
	for i, family := range families {
		f = append(f, equal(family, len(families)-i, 0))
	}
	return append(f, refuse(unix.EAFNOSUPPORT), answer(unix.SECCOMP_RET_ALLOW))
}

func load(offset uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
}

// equal compares what was loaded, and skips so many instructions if it is k or not.
func equal(k uint32, yes, no int) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: k, Jt: uint8(yes), Jf: uint8(no)}
}

func answer(action uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action}
}

func refuse(errno unix.Errno) unix.SockFilter { return answer(unix.SECCOMP_RET_ERRNO | uint32(errno)) }
