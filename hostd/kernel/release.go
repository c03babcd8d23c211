package kernel

import "golang.org/x/sys/unix"

// Release is the kernel's, as uname -r gives it.
func Release() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "of an unknown release"
	}
	return unix.ByteSliceToString(u.Release[:])
}
