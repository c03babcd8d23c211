//go:build linux

// Package confidential finds out whether this guest runs in a confidential VM: one
// that is built so that its host need not be trusted. What such a host gives as
// random it may know, so guestd mixes it and credits none of it.
//
// It promises no false "no" where the processor or the kernel answers for itself
// (SEV-SNP, TDX, Arm CCA, Secure Execution on s390x, PEF on POWER, isolation by
// Hyper-V), and no "yes" on bare metal. Which way to be wrong is a choice: to take a
// plain VM for a confidential one loses credit, which `--credit` gives back; to take
// a confidential one for a plain one credits the adversary. So
//
//   - SEV and SEV-ES count, though they shield less: the host is the adversary there
//     too, by their design;
//   - the bits of CPUID Fn8000_001F count in every guest that sees them. Bare metal
//     has them as well, but no hypervisor bit. QEMU and Hyper-V show them to
//     confidential guests alone; a VMM that hands on all that KVM supports shows
//     them to a plain guest, too, on a host that has SEV switched on. The status MSR
//     would tell (C001_0131h, SEV_STATUS), and is not for user space: systemd reads
//     it where the module msr is loaded, and says "none" where it is not;
//   - the kind is what the bits say, and may be more than is switched on.
//
// What it cannot see: in SEV and SEV-ES the host itself answers CPUID and can hide
// them (in SEV-SNP Linux answers from a page that the firmware has checked, in TDX
// the TDX module does). pKVM's protected guests show nothing. Who runs those says
// --credit none.
package confidential

import (
	"os"
	"strings"
)

// CPUID is the instruction of that name: EAX, EBX, ECX and EDX after it.
type CPUID func(leaf, sub uint32) (a, b, c, d uint32)

// Detect returns the kind of confidential VM that this is, such as "SEV-SNP" or
// "TDX", or "". root stands before every path; cpuid is nil where there is none.
func Detect(root string, cpuid CPUID) string {
	if kind := bySys(root); kind != "" || cpuid == nil {
		return kind
	}
	return byCPUID(cpuid)
}

// Here says of the machine that this process runs on what Detect says.
func Here() string { return Detect("", native) }

// signs are files that only the kernel of such a guest makes, with what they begin
// with. Devices count, not their drivers: those may be modules that nobody loads.
var signs = []struct{ kind, path, text string }{
	{"SEV-SNP", "/sys/devices/platform/sev-guest", ""}, // arch/x86, snp_init_platform_device, since Linux 5.19
	{"SEV-SNP", "/sys/devices/system/cpu/sev", ""},     // sev_sysfs_init, since 6.11
	{"TDX", "/sys/devices/virtual/misc/tdx_guest", ""}, // drivers/virt/coco/tdx-guest, since 6.2
	{"CCA", "/sys/devices/platform/arm-cca-dev", ""},   // arch/arm64/kernel/rsi.c, since 6.14
	{"Secure Execution", "/sys/firmware/uv/prot_virt_guest", "1"},
	{"PEF", "/sys/devices/system/cpu/svm", "1"}, // Documentation/ABI/testing/sysfs-devices-system-cpu
}

func bySys(root string) string {
	for _, s := range signs {
		if s.text == "" {
			if _, err := os.Stat(root + s.path); err == nil {
				return s.kind
			}
		} else if text, err := os.ReadFile(root + s.path); err == nil && strings.HasPrefix(string(text), s.text) {
			return s.kind
		}
	}
	return ""
}
