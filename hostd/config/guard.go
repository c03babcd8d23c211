package config

// What guard may be: whether the kernel is to refuse this process inet sockets.
const (
	GuardOn      = "on"      // where it can be; hostd serves without it, too, and says so
	GuardRequire = "require" // or hostd does not start
	GuardOff     = "off"
)

// What meter may be: whether it is counted who reads the kernel's random devices.
const (
	MeterOn     = "on"     // by fentry, or by kprobes where that cannot be
	MeterKprobe = "kprobe" // never by fentry
	MeterOff    = "off"
)
