//go:build ignore

// Who asks for randomness, how long it takes, and what comes of it: one record for each
// call, when it returns. What a call asks for is kept from its start to its end.

#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

// bpf_probe_read_kernel is for programs under the GPL alone.
char __license[] SEC("license") = "GPL";

// The ways to ask, as record.go names them.
#define GETRANDOM 1
#define RANDOM 2
#define URANDOM 3

#define UNKNOWN (~0ULL)

// A program's registers as the kernel keeps them, in words: struct pt_regs of
// arch/x86/include/asm/ptrace.h, struct user_pt_regs of
// arch/arm64/include/uapi/asm/ptrace.h.
#if defined(__TARGET_ARCH_x86)
enum { ARG1 = 14 /* di */, ARG2 = 13 /* si */, ARG3 = 12 /* dx */, RESULT = 10 /* ax */ };
enum { CALL_COUNT = 13 /* si */, CALL_FLAGS = 12 /* dx */, CALL32_COUNT = 11 /* cx */, CALL32_FLAGS = 12 /* dx */ };
#elif defined(__TARGET_ARCH_arm64)
enum { ARG1 = 0, ARG2 = 1, ARG3 = 2, RESULT = 0 };
// A 32-bit program's call comes by the same function.
enum { CALL_COUNT = 1, CALL_FLAGS = 2, CALL32_COUNT = 1, CALL32_FLAGS = 2 };
#else
#error "which register holds what is not written down for this machine"
#endif

// Where struct iov_iter has its count, in bytes; 0 while nobody knows. It is somewhere
// else in each kernel. This one's BTF says where, and takes longer to read than all else
// here: by then everything is attached.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} iter_count_at SEC(".maps");

struct call {
	__u64 thread; // thread group and thread, as bpf_get_current_pid_tgid has them
	__u64 way;
};

struct asked {
	__u64 start; // ns since boot
	__u64 bytes;
	__u64 flags;
};

struct record {
	__u64 start, end; // ns since boot
	__u64 asked;      // bytes
	__s64 result;     // bytes, or an error below 0
	__u64 thread;
	__u32 flags, way;
	char comm[16]; // TASK_COMM_LEN, linux/sched.h
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct call);
	__type(value, struct asked);
} calls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 19);
} records SEC(".maps");

// What is not seen: [0] calls for which calls was full, [1] records for which records was.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} lost SEC(".maps");

static __always_inline void lose(__u32 what)
{
	__u64 *n = bpf_map_lookup_elem(&lost, &what);

	if (n)
		__sync_fetch_and_add(n, 1);
}

static __always_inline int begin(__u64 way, __u64 bytes, __u64 flags)
{
	struct call c = {.thread = bpf_get_current_pid_tgid(), .way = way};
	struct asked a = {.start = bpf_ktime_get_boot_ns(), .bytes = bytes, .flags = flags};

	if (bpf_map_update_elem(&calls, &c, &a, BPF_ANY))
		lose(0);
	return 0;
}

static __always_inline int end(__u64 way, __s64 result)
{
	struct call c = {.thread = bpf_get_current_pid_tgid(), .way = way};
	struct asked *a = bpf_map_lookup_elem(&calls, &c);
	struct record *r;

	if (!a)
		return 0; // it came before us
	r = bpf_ringbuf_reserve(&records, sizeof(*r), 0);
	if (r) {
		r->start = a->start;
		r->end = bpf_ktime_get_boot_ns();
		r->asked = a->bytes;
		r->result = result;
		r->thread = c.thread;
		r->flags = a->flags;
		r->way = way;
		bpf_get_current_comm(r->comm, sizeof(r->comm));
		bpf_ringbuf_submit(r, 0);
	} else {
		lose(1);
	}
	bpf_map_delete_elem(&calls, &c);
	return 0;
}

static __always_inline __u64 word(__u64 at)
{
	__u64 w = 0;

	bpf_probe_read_kernel(&w, sizeof(w), (void *)at);
	return w;
}

static __always_inline __u64 iter_count(__u64 iter)
{
	__u32 first = 0;
	__u64 *at = bpf_map_lookup_elem(&iter_count_at, &first);

	return at && *at ? word(iter + *at) : UNKNOWN;
}

// getrandom's caller, whose registers are where the only argument of the kernel's
// function points to.
static __always_inline int getrandom(__u64 regs, int count, int flags)
{
	return begin(GETRANDOM, word(regs + count * 8), (__u32)word(regs + flags * 8));
}

SEC("fentry") int getrandom_begin(__u64 *args) { return getrandom(args[0], CALL_COUNT, CALL_FLAGS); }
SEC("fentry") int getrandom32_begin(__u64 *args) { return getrandom(args[0], CALL32_COUNT, CALL32_FLAGS); }
SEC("fexit") int getrandom_end(__u64 *args) { return end(GETRANDOM, args[1]); }
SEC("kprobe") int getrandom_kbegin(__u64 *regs) { return getrandom(regs[ARG1], CALL_COUNT, CALL_FLAGS); }
SEC("kprobe") int getrandom32_kbegin(__u64 *regs) { return getrandom(regs[ARG1], CALL32_COUNT, CALL32_FLAGS); }
SEC("kretprobe") int getrandom_kend(__u64 *regs) { return end(GETRANDOM, regs[RESULT]); }

// The devices: read_iter(kiocb, iter), and read(file, buf, count, offset) before the
// changes of Linux 5.19, which 5.15 has had since 5.15.44.
SEC("fentry") int random_iter_begin(__u64 *args) { return begin(RANDOM, iter_count(args[1]), 0); }
SEC("fexit") int random_iter_end(__u64 *args) { return end(RANDOM, args[2]); }
SEC("kprobe") int random_iter_kbegin(__u64 *regs) { return begin(RANDOM, iter_count(regs[ARG2]), 0); }
SEC("fentry") int random_begin(__u64 *args) { return begin(RANDOM, args[2], 0); }
SEC("fexit") int random_end(__u64 *args) { return end(RANDOM, args[4]); }
SEC("kprobe") int random_kbegin(__u64 *regs) { return begin(RANDOM, regs[ARG3], 0); }
SEC("kretprobe") int random_kend(__u64 *regs) { return end(RANDOM, regs[RESULT]); }

SEC("fentry") int urandom_iter_begin(__u64 *args) { return begin(URANDOM, iter_count(args[1]), 0); }
SEC("fexit") int urandom_iter_end(__u64 *args) { return end(URANDOM, args[2]); }
SEC("kprobe") int urandom_iter_kbegin(__u64 *regs) { return begin(URANDOM, iter_count(regs[ARG2]), 0); }
SEC("fentry") int urandom_begin(__u64 *args) { return begin(URANDOM, args[2], 0); }
SEC("fexit") int urandom_end(__u64 *args) { return end(URANDOM, args[4]); }
SEC("kprobe") int urandom_kbegin(__u64 *regs) { return begin(URANDOM, regs[ARG3], 0); }
SEC("kretprobe") int urandom_kend(__u64 *regs) { return end(URANDOM, regs[RESULT]); }
