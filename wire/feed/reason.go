package feed

// Why a guest reseeded, as its report says it.
const (
	ReasonStart    = "start"    // guestd started
	ReasonInterval = "interval" // it was time
	ReasonPush     = "push"     // the host pushed
	ReasonFork     = "fork"     // the kernel's log says that the virtual machine was forked
	ReasonVMGenID  = "vmgenid"  // the VM generation ID changed, and the kernel has no driver for it
	ReasonPeers    = "peers"    // a network link was told to announce itself (NOTIFY_PEERS)
	ReasonClock    = "clock"    // the real-time clock jumped against the kernel's
	ReasonHealth   = "health"   // not reseeded: what came failed a health test, and was mixed without credit
)

// ReasonOther stands for a reason that is none of these.
const ReasonOther = "other"

// KnownReason returns the reason, or ReasonOther: a guest may write anything.
func KnownReason(reason string) string {
	switch reason {
	case ReasonStart, ReasonInterval, ReasonPush, ReasonFork, ReasonVMGenID, ReasonPeers, ReasonClock, ReasonHealth:
		return reason
	}
	return ReasonOther
}
