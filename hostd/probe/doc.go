// Package probe puts small BPF programs at the start and the end of functions of the
// kernel: by fentry and fexit where the kernel can (BTF and trampolines: amd64 since
// Linux 5.5, arm64 since 6.4), else by kprobes and kretprobes, and says which.
//
// The promise: what is attached is gone with the process that attached it, however
// that ends, for nothing is pinned; and where a kernel, a module or a right is
// missing, the error says which, in words for the user.
//
// What a program may miss. Fexit: a call that was under way when it was attached;
// and on a fully preemptible kernel a call on a CPU where another one was
// interrupted inside of the very program. Kretprobes: calls beyond max(10, 2*CPUs)
// at once, for that is how many returns the kernel keeps (maxactive in
// kernel/kprobes.c, which perf's kprobes cannot change). Point.Missed counts them
// where the kernel does.
//
// Fexit holds the module of its function: it cannot be unloaded meanwhile. A kprobe
// does not, and dies with the module.
package probe
