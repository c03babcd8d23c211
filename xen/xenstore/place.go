package xenstore

// Where xenstored can be reached.
const (
	SocketPath = "/run/xenstored/socket" // where xenstored runs: in dom0
	DevicePath = "/dev/xen/xenbus"       // in any domain

	// procPath is the same device, of kernels and modules without the other.
	procPath = "/proc/xen/xenbus"
)
