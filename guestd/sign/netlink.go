//go:build linux

package sign

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Of linux/rtnetlink.h, linux/if_link.h, linux/netlink.h and linux/filter.h.
const (
	attributeMin  = 4            // struct nlattr: two bytes of length, two of type
	attributeType = 1<<14 - 1    // NLA_TYPE_MASK; above it are two flags
	notifyPeers   = 4            // IFLA_EVENT_NOTIFY_PEERS
	findAttribute = -0x1000 + 12 // SKF_AD_OFF + SKF_AD_NLATTR
	attributesAt  = unix.SizeofNlMsghdr + unix.SizeofIfInfomsg
)

// announced says whether one of the messages in b is that a link was told to announce
// itself (netdev_notify_peers). A length that cannot be ends the looking.
func announced(b []byte) bool {
	for len(b) >= attributesAt {
		n := int(u32(b))
		if n < unix.SizeofNlMsghdr || n > len(b) {
			return false
		}
		if u16(b[4:]) == unix.RTM_NEWLINK && n >= attributesAt && announces(b[attributesAt:n]) {
			return true
		}
		b = b[min(align(n), len(b)):]
	}
	return false
}

// announces looks for the event among a link's attributes.
func announces(b []byte) bool {
	for len(b) >= attributeMin {
		n := int(u16(b))
		if n < attributeMin || n > len(b) {
			return false
		}
		if u16(b[2:])&attributeType == unix.IFLA_EVENT {
			return n >= attributeMin+4 && u32(b[attributeMin:]) == notifyPeers
		}
		b = b[min(align(n), len(b)):]
	}
	return false
}

// announcements is announced for the kernel, so that nobody is woken by other
// messages: a host of containers makes hundreds of links a minute. The kernel sends
// each message by itself. A filter loads numbers as the network orders them.
func announcements() *unix.SockFprog {
	const drop = 9
	f := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: 4}, // its type
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: net16(unix.RTM_NEWLINK), Jf: drop - 2},
		{Code: unix.BPF_LD | unix.BPF_IMM, K: attributesAt},
		{Code: unix.BPF_LDX | unix.BPF_IMM, K: unix.IFLA_EVENT},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: uint32(findAttribute & 0xffffffff)}, // where it is, or 0
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 0, Jt: drop - 6},
		{Code: unix.BPF_MISC | unix.BPF_TAX},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_IND, K: attributeMin},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: net32(notifyPeers), Jt: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
		{Code: unix.BPF_RET | unix.BPF_K, K: 1<<32 - 1},
	}
	return &unix.SockFprog{Len: uint16(len(f)), Filter: &f[0]}
}

// align is the boundary of messages (NLMSG_ALIGNTO) and attributes (NLA_ALIGNTO).
func align(n int) int { return (n + 3) &^ 3 }

// u16 and u32 read a number as this machine orders it. Not encoding/binary, which
// links reflect.
func u16(b []byte) uint16 {
	n := [2]byte(b)
	return *(*uint16)(unsafe.Pointer(&n))
}

func u32(b []byte) uint32 {
	n := [4]byte(b)
	return *(*uint32)(unsafe.Pointer(&n))
}

// net16 and net32 are what a filter, which reads big-endian, sees of a number.
func net16(n uint16) uint32 {
	b := (*[2]byte)(unsafe.Pointer(&n))
	return uint32(b[0])<<8 | uint32(b[1])
}

func net32(n uint32) uint32 {
	b := (*[4]byte)(unsafe.Pointer(&n))
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}
