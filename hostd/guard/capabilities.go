package guard

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"headgate/hostd/kernel"
)

// dropped is what nothing in hostd needs once its programs are attached.
var dropped = []uint{unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON}

// Drop gives up CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON for good, on all threads:
// effective, permitted, inheritable and ambient, and the bounding set where CAP_SETPCAP
// is there to change it. What was read from the guard before can be read after.
//
// The world stands still until each thread has answered a signal: none may be in a read
// that the kernel does not interrupt, such as of a generator behind /dev/hwrng that gives
// nothing, or it stands still for as long.
func Drop() error {
	sets, err := kernel.Held()
	if err != nil {
		return fmt.Errorf("drop capabilities: %w", err)
	}
	// The bounding set while CAP_SETPCAP is in force. Without it, a program that root
	// executes may have them back, unless Confine has set no_new_privs.
	if sets.Effective(unix.CAP_SETPCAP) {
		for _, capability := range dropped {
			if _, _, errno := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, uintptr(capability), 0); errno != 0 {
				return fmt.Errorf("drop capability %d from the bounding set: %w", capability, together(errno))
			}
		}
	}
	var held uint32
	for _, capability := range dropped {
		bit := uint32(1) << (capability % 32)
		set := &sets[capability/32]
		held |= bit & (set.Effective | set.Permitted | set.Inheritable)
		set.Effective &^= bit
		set.Permitted &^= bit
	}
	if held == 0 {
		return nil // a service manager that gave none may also refuse capset(2)
	}
	// All that is inheritable, and with it what is ambient (capabilities(7), Ambient):
	// hostd passes nothing on, and a thread that has emptied that set before it executed a
	// program may not get back what is not permitted, at which Go would end the process.
	for i := range sets {
		sets[i].Inheritable = 0
	}
	return hold(sets)
}

// hold gives them to all threads. Those of a Go program without cgo have the same ones,
// unless it locks them.
func hold(sets kernel.Capabilities) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if _, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&sets)), 0); errno != 0 {
		return fmt.Errorf("set capabilities: %w", together(errno))
	}
	return nil
}

// together says what the one error is that comes from Go and not from the kernel.
func together(errno syscall.Errno) error {
	if errno == syscall.ENOTSUP {
		return fmt.Errorf("this hostd was built with cgo, and its threads cannot change together: build it with CGO_ENABLED=0: %w", errno)
	}
	return errno
}
