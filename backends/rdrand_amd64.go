package backends

import "golang.org/x/sys/cpu"

// CPUID says of both: leaf 7, EBX bit 18, and leaf 1, ECX bit 30. The kernel hides
// RDRAND on processors where it is known to be broken (arch/x86/kernel/cpu/amd.c).
var (
	seedInstruction = instruction{"RDSEED", hasRDSEED, rdseed}
	randInstruction = instruction{"RDRAND", hasRDRAND, rdrand}
)

func hasRDSEED() bool { return cpu.X86.HasRDSEED }
func hasRDRAND() bool { return cpu.X86.HasRDRAND }

//go:noescape
func rdseed(tries int) (v uint64, ok bool)

//go:noescape
func rdrand(tries int) (v uint64, ok bool)
