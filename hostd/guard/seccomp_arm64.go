package guard

import "golang.org/x/sys/unix"

// arches are those that a kernel for arm64 runs: its own, and arm
// (arch/arm/tools/syscall.tbl).
var arches = []arch{
	{audit: unix.AUDIT_ARCH_AARCH64, mask: ^uint32(0), socket: unix.SYS_SOCKET, socketpair: unix.SYS_SOCKETPAIR, multiplex: nothing, bpf: unix.SYS_BPF, perf: unix.SYS_PERF_EVENT_OPEN},
	{audit: unix.AUDIT_ARCH_ARM, mask: ^uint32(0), socket: 281, socketpair: 288, multiplex: 102, bpf: 386, perf: 364},
}
