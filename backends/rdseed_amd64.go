package backends

import "golang.org/x/sys/cpu"

// hasRDSEED tells what CPUID says: leaf 7, EBX bit 18.
func hasRDSEED() bool { return cpu.X86.HasRDSEED }

// rdseed returns one value, or not ok if there was none in that many tries, at least 1.
//
//go:noescape
func rdseed(tries int) (v uint64, ok bool)
