//go:build linux

package confidential

// Leaves of CPUID and what is in them.
const (
	leafVendor  = 0          // EAX: the highest basic leaf
	leafVersion = 1          // AMD APM vol. 3 E.3.2, Intel SDM vol. 2 CPUID
	hypervisor  = 1 << 31    // ECX: reserved for what a hypervisor tells its guest
	leafTDX     = 0x21       // Intel TDX Module Base Architecture Specification, 11.2: only in a TD
	leafMaximum = 0x80000000 // EAX: the highest extended leaf

	leafEncryption = 0x8000001f // AMD APM vol. 3 E.4.17, EAX
	bitSEV         = 1 << 1
	bitSEVES       = 1 << 3
	bitSEVSNP      = 1 << 4

	leafHypervisor = 0x40000000 // EAX: the highest leaf of the hypervisor's

	// Hyper-V's (Hypervisor Top Level Functional Specification; arch/x86,
	// asm/hyperv-tlfs.h). A paravisor hides the processor's own leaves.
	leafPrivileges = 0x40000003
	bitIsolation   = 1 << 22 // EBX: may read the configuration of its isolation
	bitRoot        = 1 << 12 // EBX: manages processors: is the host's partition
	leafIsolation  = 0x4000000c
	maskIsolation  = 0xf // EBX: enum hv_isolation_type
)

// byCPUID judges by the processor's leaves alone.
func byCPUID(cpuid CPUID) string {
	if _, _, c, _ := cpuid(leafVersion, 0); c&hypervisor == 0 {
		return "" // bare metal, whatever it is capable of
	}
	if most, _, _, _ := cpuid(leafVendor, 0); most >= leafTDX {
		if _, b, c, d := cpuid(leafTDX, 0); text(b, d, c) == "IntelTDX    " {
			return "TDX"
		}
	}
	if most, _, _, _ := cpuid(leafMaximum, 0); most >= leafEncryption {
		switch a, _, _, _ := cpuid(leafEncryption, 0); {
		case a&bitSEV == 0:
		case a&bitSEVSNP != 0:
			return "SEV-SNP"
		case a&bitSEVES != 0:
			return "SEV-ES"
		default:
			return "SEV"
		}
	}
	return byHyperV(cpuid)
}

// byHyperV judges by what Hyper-V, or its paravisor, says of the guest's isolation.
func byHyperV(cpuid CPUID) string {
	most, b, c, d := cpuid(leafHypervisor, 0)
	if text(b, c, d) != "Microsoft Hv" || most < leafIsolation {
		return "" // QEMU takes that name too, and ends before that leaf
	}
	if _, b, _, _ := cpuid(leafPrivileges, 0); b&bitIsolation == 0 || b&bitRoot != 0 {
		return ""
	}
	_, b, _, _ = cpuid(leafIsolation, 0)
	switch b & maskIsolation {
	case 0:
		return ""
	case 1:
		return "VBS" // by Hyper-V itself, from the host's partition
	case 2:
		return "SEV-SNP"
	case 3:
		return "TDX"
	}
	return "isolated by Hyper-V"
}

// text gives the twelve characters of three registers, the lowest byte first.
func text(words ...uint32) string {
	var b []byte
	for _, w := range words {
		b = append(b, byte(w), byte(w>>8), byte(w>>16), byte(w>>24))
	}
	return string(b)
}
