//go:build amd64 || arm64

package tsc

// Now returns the time-stamp counter (amd64: RDTSC; arm64: CNTVCT_EL0).
func Now() uint64
