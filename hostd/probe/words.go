package probe

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"headgate/hostd/kernel"
)

const (
	kernelTypes  = "/sys/kernel/btf/vmlinux"                   // Documentation/bpf/btf.rst
	kprobeEvents = "/sys/bus/event_source/devices/kprobe/type" // perf_event_open(2), "dynamic PMU"
)

// words tells the user what to do about an error of the kernel's.
func words(err error) error {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return err
	}
	switch errno {
	case syscall.EPERM, syscall.EACCES:
		if held, err := kernel.Held(); err == nil && capable(held) {
			return fmt.Errorf("this kernel forbids it whoever asks (lockdown, a security module): %w", errno)
		}
		return fmt.Errorf("it takes CAP_BPF and CAP_PERFMON (be root, or give the service AmbientCapabilities=): %w", errno)
	case syscall.ENOSYS:
		return fmt.Errorf("this kernel has no BPF (CONFIG_BPF_SYSCALL): %w", errno)
	case syscall.EBUSY:
		return fmt.Errorf("something else has taken that function (a live patch, another tracer): %w", errno)
	}
	return err
}

// capable is whether these are the rights to trace: capabilities(7).
func capable(held kernel.Capabilities) bool {
	return held.Effective(unix.CAP_SYS_ADMIN) || held.Effective(unix.CAP_PERFMON) && held.Effective(unix.CAP_BPF)
}
