//go:build ignore

/* Refuses the inet sockets of one cgroup, and counts them by who asked. */

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define AF_INET 2   /* include/linux/socket.h */
#define AF_INET6 10 /* include/linux/socket.h */

#define TASK_COMM_LEN 16 /* include/linux/sched.h */

/* The first two slots are for those who find no slot of their own: inet, inet6. */
#define SLOTS 256
#define OTHERS 2

struct who {
	__u32 tgid;
	__u32 family;
	__u8 comm[TASK_COMM_LEN];
};

struct slot {
	__u64 count;
	struct who who;
};

/* In .bss, which user space maps: it reads the counts without a system call, also
 * when it has no right to bpf(2) any more. */
struct slot slots[SLOTS];
__u32 armed; /* nothing counts before user space has tried it itself */

/* The free slots. A queue, because it hands out each number once on every kernel; an
 * atomic that returns a value does not on arm64 before Linux 5.18. */
struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, SLOTS - OTHERS);
	__uint(value_size, sizeof(__u32));
} free_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SLOTS - OTHERS);
	__type(key, struct who);
	__type(value, __u32);
} slot_of SEC(".maps");

struct try {
	__u32 family;
	__u32 type;
	__u32 protocol;
	__u32 tgid;
	__u8 comm[TASK_COMM_LEN];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16 * 1024);
} tries SEC(".maps");

/* Makes bpf2go write the type of a record. */
struct try *unused_try __attribute__((unused));

static __always_inline __u32 find_slot(struct who *who)
{
	__u32 others = who->family == AF_INET ? 0 : 1, slot = 0, *known;

	known = bpf_map_lookup_elem(&slot_of, who);
	if (known)
		return *known;
	if (bpf_map_pop_elem(&free_slots, &slot))
		return others;
	/* Nobody else has its number, and nobody finds it before it is in the index. */
	slots[slot & (SLOTS - 1)].who = *who;
	if (!bpf_map_update_elem(&slot_of, who, &slot, BPF_NOEXIST))
		return slot;
	/* Another CPU was faster with the same one. */
	bpf_map_push_elem(&free_slots, &slot, 0);
	known = bpf_map_lookup_elem(&slot_of, who);
	return known ? *known : others;
}

SEC("cgroup/sock_create")
int refuse_inet(struct bpf_sock *sk)
{
	struct who who = {};
	struct try try = {};

	who.family = sk->family;
	if (who.family != AF_INET && who.family != AF_INET6)
		return 1;
	if (!*(volatile __u32 *)&armed)
		return 0;
	who.tgid = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(who.comm, sizeof(who.comm));
	__sync_fetch_and_add(&slots[find_slot(&who) & (SLOTS - 1)].count, 1);

	try.family = who.family;
	try.type = sk->type;
	try.protocol = sk->protocol;
	try.tgid = who.tgid;
	__builtin_memcpy(try.comm, who.comm, sizeof(try.comm));
	/* Where nobody reads in time the record is lost, and the count is not. */
	bpf_ringbuf_output(&tries, &try, sizeof(try), 0);
	return 0; /* EPERM */
}

char __license[] SEC("license") = "Apache-2.0"; /* no helper here demands the GPL */
