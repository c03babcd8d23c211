//go:build linux

package confidential

// instruction is CPUID.
func instruction(leaf, sub uint32) (a, b, c, d uint32)

var native CPUID = instruction
