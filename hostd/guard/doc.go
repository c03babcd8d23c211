// Package guard has the kernel keep the promise that entropy never crosses the network:
// once it is attached, no new inet socket comes into being in hostd's process or in one
// that it starts, and each try is counted by family and process.
//
// The program is attached to a cgroup (v2) that holds this process alone, never to one
// that it shares. The kernel runs it in inet_create and inet6_create (net/ipv4/af_inet.c,
// net/ipv6/af_inet6.c), through which every socket of a program's goes: TCP, UDP, raw,
// MPTCP and SCTP, made by socket(2) or by an io_uring. It is held by a link, which is
// gone with the process however that ends; nothing is pinned. Counts are exact, and lie
// in memory that is read without a system call, so that they are there also for who has
// given up every right to bpf(2).
//
// What it does not stop:
//   - Code in hostd itself that closes the link or, as root, writes the process into
//     another cgroup.
//   - A socket that somebody else made: hence Inherited at start. Over its sockets hostd
//     takes memory files and eventfds only, and Confine refuses pidfd_getfd(2).
//   - Other families that reach beyond this host, such as AF_PACKET, AF_VSOCK and AF_SMC,
//     for which the kernel makes TCP sockets of its own that ask no program: hence Confine.
//   - A child that is put into another cgroup by who may.
//
// The order at start: Inherited, Attach, Confine, then who else is to attach programs is
// started as a process of its own, Drop, Latch, and only then what may wait in the kernel.
// A child that runs before Attach stays in the cgroup it was in. Drop alone leaves
// CAP_SYS_ADMIN, which has the rights of what it drops; Latch has bpf(2) refused to that,
// too.
//
// Linux 5.15 or later with CONFIG_CGROUP_BPF, and a mounted cgroup v2, beside v1 or not.
package guard
