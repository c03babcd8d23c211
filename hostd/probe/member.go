package probe

import "github.com/cilium/ebpf/btf"

// deepest bounds how far unnamed members are looked into.
const deepest = 4

// Member is where a structure has one of its members, in bytes. It may be in a structure
// or a union without a name: a kernel with a randomized layout has them so, and each may
// move a member into one from release to release.
func Member(of []btf.Member, name string) (at uint32, found bool) { return member(of, name, 0) }

func member(of []btf.Member, name string, depth int) (uint32, bool) {
	for _, m := range of {
		if m.Name == name {
			return m.Offset.Bytes(), true
		}
		if m.Name != "" || depth > deepest {
			continue
		}
		var under []btf.Member
		if s, is := btf.As[*btf.Struct](m.Type); is {
			under = s.Members
		} else if u, is := btf.As[*btf.Union](m.Type); is {
			under = u.Members
		}
		if at, found := member(under, name, depth+1); found {
			return m.Offset.Bytes() + at, true
		}
	}
	return 0, false
}
