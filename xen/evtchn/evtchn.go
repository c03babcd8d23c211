package evtchn

// Device is where the kernel's event channel driver is.
const Device = "/dev/xen/evtchn"

// Port is one end of an event channel, as its own domain calls it.
type Port uint32
