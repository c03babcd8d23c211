//go:build ignore

// Programs at the end of the kernel's functions that hand out randomness: each adds
// what the call gave to its process's row.
//
// Helpers alone, no type of the kernel is looked at: so these load on a kernel
// without BTF too.

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

// The ways, by their place in Ways of reading.go.
enum { HWRNG, RANDOM, URANDOM, GETRANDOM, WAYS };

#define COMM 16 // TASK_COMM_LEN, linux/sched.h

// A signal came before the call got anything: it starts again, or it never was
// (include/linux/errno.h; not for programs to see).
#define ERESTARTSYS 512

struct reader {
	__u64 cgroup; // of the v2 hierarchy
	__u32 process;
	__u32 way;
	unsigned char comm[COMM];
};

struct count {
	__u64 bytes;
	__u64 calls;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct reader);
	__type(value, struct count);
} readers SEC(".maps");

// Who found no room in the table, by way.
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, WAYS);
	__type(key, __u32);
	__type(value, struct count);
} others SEC(".maps");

// Where a process's own name is, as the kernel's BTF has it; 0 if it has none. A
// thread may have a name of its own: without these, each name is a row.
volatile const __u32 leader_at; // task_struct.group_leader
volatile const __u32 comm_at;   // task_struct.comm

static __always_inline void name(struct reader *r, __u32 thread)
{
	if (thread != r->process && leader_at && comm_at) {
		const char *task = (const char *)bpf_get_current_task(), *leader = 0;
		if (bpf_probe_read_kernel(&leader, sizeof leader, task + leader_at) == 0 &&
		    bpf_probe_read_kernel(r->comm, COMM, leader + comm_at) == 0)
			return;
	}
	bpf_get_current_comm(r->comm, COMM);
}

static __always_inline int count(__u32 way, __s64 got)
{
	if (got == -ERESTARTSYS)
		return 0;
	__u64 id = bpf_get_current_pid_tgid();
	struct reader r = {
		.cgroup = bpf_get_current_cgroup_id(),
		.process = id >> 32,
		.way = way,
	};
	name(&r, (__u32)id);

	struct count *c = bpf_map_lookup_elem(&readers, &r);
	if (!c) {
		struct count none = {};
		// It fails if the table is full, or if a thread on another CPU was
		// first: a look tells.
		bpf_map_update_elem(&readers, &r, &none, BPF_NOEXIST);
		c = bpf_map_lookup_elem(&readers, &r);
		if (!c)
			c = bpf_map_lookup_elem(&others, &way);
		if (!c)
			return 0;
	}
	// Atomic, for a preemptible kernel may let another program in half-way.
	if (got > 0)
		__sync_fetch_and_add(&c->bytes, got);
	__sync_fetch_and_add(&c->calls, 1);
	return 0;
}

// What fexit is given: the arguments of the function, then what it returned
// (kernel/bpf/trampoline.c), so that a program fits functions of one number of
// arguments.
#define FEXIT(program, way, arguments)                  \
	SEC("fexit")                                    \
	int program(__u64 *ctx)                         \
	{                                               \
		return count(way, (__s64)ctx[arguments]); \
	}

FEXIT(hwrng_exit, HWRNG, 4)         // rng_dev_read(file, buf, size, offset)
FEXIT(random_exit, RANDOM, 2)       // random_read_iter(kiocb, iter)
FEXIT(random_exit_old, RANDOM, 4)   // random_read(file, buf, size, offset)
FEXIT(urandom_exit, URANDOM, 2)     // urandom_read_iter(kiocb, iter)
FEXIT(urandom_exit_old, URANDOM, 4) // urandom_read(file, buf, size, offset)
FEXIT(getrandom_exit, GETRANDOM, 1) // __x64_sys_getrandom(pt_regs)

// Where a return value is in struct pt_regs, in words of 8 bytes.
#if defined(__TARGET_ARCH_x86)
#define RETURNED 10 // ax, arch/x86/include/asm/ptrace.h
#elif defined(__TARGET_ARCH_arm64)
#define RETURNED 0 // regs[0], arch/arm64/include/uapi/asm/ptrace.h
#else
#error "no such processor"
#endif

#define KRETPROBE(program, way)                        \
	SEC("kretprobe")                               \
	int program(__u64 *ctx)                        \
	{                                              \
		return count(way, (__s64)ctx[RETURNED]); \
	}

KRETPROBE(hwrng_kret, HWRNG)
KRETPROBE(random_kret, RANDOM)
KRETPROBE(urandom_kret, URANDOM)
KRETPROBE(getrandom_kret, GETRANDOM)

char __license[] SEC("license") = "GPL";
