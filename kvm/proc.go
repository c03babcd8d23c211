package kvm

// StartOf says when a process began, in clock ticks since the system's start: with its
// id that is no other process's.
func StartOf(pid int) (uint64, error) { return started(int32(pid)) }

// ReadPIDFile reads the process id that libvirt, or QEMU's -pidfile, keeps in a file.
// It never waits, whatever is in the file's place.
func ReadPIDFile(path string) (pid int, err error) {
	id, err := readPIDFile(path)
	return int(id), err
}
