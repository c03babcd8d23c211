//go:build linux && !amd64

package confidential

var native CPUID // none: the kernel's files alone
