package guard

import "golang.org/x/sys/unix"

// arches are those that a kernel for amd64 runs: its own with x32, whose numbers have a
// bit more (arch/x86/entry/syscalls/syscall_64.tbl), and i386 (syscall_32.tbl).
var arches = []arch{
	{audit: unix.AUDIT_ARCH_X86_64, mask: ^uint32(0x40000000), socket: unix.SYS_SOCKET, socketpair: unix.SYS_SOCKETPAIR, multiplex: nothing, bpf: unix.SYS_BPF, perf: unix.SYS_PERF_EVENT_OPEN},
	{audit: unix.AUDIT_ARCH_I386, mask: ^uint32(0), socket: 359, socketpair: 360, multiplex: 102, bpf: 357, perf: 336},
}
