//go:build linux

package confidential

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// table answers as a processor whose leaves are these. Beyond the highest leaf of a
// range it has the words of the highest basic one, as Intel's and QEMU's have.
type table map[uint32][4]uint32

func (t table) cpuid(leaf, _ uint32) (a, b, c, d uint32) {
	w := t[leaf]
	if start := leaf &^ 0xffff; leaf > max(start, t[start][0]) {
		w = t[t[0][0]]
	}
	return w[0], w[1], w[2], w[3]
}

// with gives t with other leaves.
func (t table) with(others table) table {
	both := table{}
	for _, m := range []table{t, others} {
		for leaf, words := range m {
			both[leaf] = words
		}
	}
	return both
}

// Leaves as processors and hypervisors show them: the first two were read in such
// guests, the others are after the manuals.
var (
	epycGuest = table{ // KVM and QEMU on a host with SEV: the leaf is there, and empty
		0: {0x1c, 0x68747541, 0x444d4163, 0x69746e65}, 1: {0xa10f11, 0x1020800, 0xfffa3203, 0x178bfbff},
		0x40000000: {0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d}, 0x40000001: {0x1007efb},
		0x80000000: {0x80000021, 0x68747541, 0x444d4163, 0x69746e65}, 0x8000001f: {},
	}
	tcgGuest = table{
		0: {0xd, 0x68747541, 0x444d4163, 0x69746e65}, 1: {0x60fb1, 0x800, 0xfed8320b, 0xfcbfbfd},
		0xd:        {0x21f, 0xa88, 0xa88}, // has all bits of SEV, and is given for leaf 8000001Fh
		0x40000000: {0x40000001, 0x54474354, 0x43544743, 0x47435447}, 0x80000000: {0x8000000a},
	}
	epycMetal = table{ // SME, SEV, page flush, SEV-ES, SEV-SNP, VMPL, …
		0: {0x10, 0x68747541, 0x444d4163, 0x69746e65}, 1: {0xa00f11, 0x800, 0x7efa320b, 0x178bfbff},
		0x80000000: {0x80000023}, 0x8000001f: {0x1bf, 0x51b3, 0x1fd, 1},
	}
	xeonMetal = table{
		0: {0x20, 0x756e6547, 0x6c65746e, 0x49656e69}, 1: {0x806f8, 0x800, 0x7ffefbff, 0xbfebfbff},
		0x20: {1}, 0x80000000: {0x80000008},
	}
	xeonGuest = xeonMetal.with(table{1: {0x806f8, 0x800, 0xfffefbff, 0xbfebfbff}, 0x40000000: {0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d}})
	hyperV    = xeonGuest.with(table{0x40000000: {0x4000000c, 0x7263694d, 0x666f736f, 0x76482074}, 0x40000003: {0x2e7f, 0x3b8030}})
	isolated  = hyperV.with(table{0x40000003: {0x2e7f, 0x3b8030 | bitIsolation}})
)

func TestByCPUID(t *testing.T) {
	tdx := table{0x21: {0, 0x65746e49, 0x20202020, 0x5844546c}, 0: {0x21}}
	for _, c := range []struct {
		name  string
		leafs table
		want  string
	}{
		{"none at all", table{}, ""},
		{"a guest of QEMU and KVM on EPYC", epycGuest, ""},
		{"a guest of QEMU's emulation", tcgGuest, ""},
		{"EPYC, bare metal", epycMetal, ""},
		{"Xeon, bare metal", xeonMetal, ""},
		{"a guest on Xeon", xeonGuest, ""},
		{"a guest on Xeon that knows leaf 21h", xeonGuest.with(table{0: {0x21}}), ""},
		{"Xeon, bare metal, whose leaf 21h says it", xeonMetal.with(tdx), ""},
		{"a TD", xeonGuest.with(tdx), "TDX"},
		{"SEV, as QEMU shows it", epycGuest.with(table{0x8000001f: {bitSEV, 0x73}}), "SEV"},
		{"SEV-ES, as QEMU shows it", epycGuest.with(table{0x8000001f: {bitSEV | bitSEVES, 0x73}}), "SEV-ES"},
		{"SEV-SNP, as QEMU shows it", epycGuest.with(table{0x8000001f: {bitSEV | bitSEVES | bitSEVSNP, 0x73}}), "SEV-SNP"},
		{"a guest with the host's leaf handed on", epycGuest.with(table{0x8000001f: epycMetal[0x8000001f]}), "SEV-SNP"},
		{"a guest with SME alone", epycGuest.with(table{0x8000001f: {1}}), ""},
		{"the bits beyond the highest leaf", epycGuest.with(table{0x80000000: {0x8000001e}, 0x8000001f: {0x1f}}), ""},
		{"Hyper-V", hyperV, ""},
		{"Hyper-V, isolation type none", isolated, ""},
		{"Hyper-V, VBS", isolated.with(table{0x4000000c: {0, 1}}), "VBS"},
		{"Hyper-V, SEV-SNP with a paravisor", isolated.with(table{0x4000000c: {1, 0xbe2}}), "SEV-SNP"},
		{"Hyper-V, TDX with a paravisor", isolated.with(table{0x4000000c: {1, 3}}), "TDX"},
		{"Hyper-V, a type to come", isolated.with(table{0x4000000c: {0, 0xf}}), "isolated by Hyper-V"},
		{"Hyper-V, a type without the privilege", hyperV.with(table{0x4000000c: {0, 2}}), ""},
		{"Hyper-V's own partition", isolated.with(table{0x40000003: {0, bitIsolation | bitRoot}, 0x4000000c: {0, 2}}), ""},
		{"QEMU by Hyper-V's name", isolated.with(table{0x40000000: {0x4000000a, 0x7263694d, 0x666f736f, 0x76482074}, 0x4000000c: {0, 2}}), ""},
		{"KVM with leaf 4000000Ch", epycGuest.with(table{0x40000000: {0x4000000c, 0x4b4d564b, 0x564b4d56, 0x4d}, 0x40000003: {0, bitIsolation}, 0x4000000c: {0, 2}}), ""},
	} {
		if got := Detect(t.TempDir(), c.leafs.cpuid); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// A file of the kernel's counts whatever CPUID says, and only with what it is to say.
func TestBySys(t *testing.T) {
	for _, c := range []struct{ path, text, want string }{
		{"/sys/devices/platform/sev-guest/driver_override", "(null)\n", "SEV-SNP"},
		{"/sys/devices/system/cpu/sev/vmpl", "0\n", "SEV-SNP"},
		{"/sys/devices/virtual/misc/tdx_guest/dev", "10:125\n", "TDX"},
		{"/sys/devices/platform/arm-cca-dev/modalias", "platform:arm-cca-dev\n", "CCA"},
		{"/sys/firmware/uv/prot_virt_guest", "1\n", "Secure Execution"},
		{"/sys/firmware/uv/prot_virt_guest", "0\n", ""},
		{"/sys/devices/system/cpu/svm", "1\n", "PEF"},
		{"/sys/devices/system/cpu/svm", "0\n", ""},
		{"/sys/devices/virtual/misc/kvm/dev", "10:232\n", ""},
		{"/sys/module/sev_guest/initstate", "live\n", ""}, // the module alone
	} {
		root := t.TempDir()
		file := filepath.Join(root, c.path)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		for name, cpuid := range map[string]CPUID{"no CPUID": nil, "a plain guest": epycGuest.cpuid} {
			if got := Detect(root, cpuid); got != c.want {
				t.Errorf("%s %q, %s: %q, want %q", c.path, c.text, name, got, c.want)
			}
		}
	}
}

// The instruction is the one that the kernel shows the vendor by.
func TestNative(t *testing.T) {
	if native == nil {
		if runtime.GOARCH == "amd64" {
			t.Fatal("no CPUID")
		}
		t.Skip("CPUID is amd64's")
	}
	_, b, c, d := native(leafVendor, 0)
	info, err := os.ReadFile("/proc/cpuinfo")
	if vendor := text(b, d, c); err != nil || !strings.Contains(string(info), vendor) {
		t.Errorf("vendor %q, %v", vendor, err)
	}
	_, _, c, _ = native(leafVersion, 0)
	if flagged := strings.Contains(string(info), " hypervisor"); flagged != (c&hypervisor != 0) {
		t.Errorf("leaf 1 ECX %08x, the kernel says hypervisor: %v", c, flagged)
	}
}
