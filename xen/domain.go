package xen

import "headgate/xen/vchan"

// RingPath is where a guest's guestd offers its ring, under the guest's own tree.
const RingPath = "data/headgate"

// BellPath is what hostd writes, under a guest's own tree, to have its guestd open a
// session; package guestd/pipe has the same.
const BellPath = "data/headgate-bell"

// PolicyPath is dom0's own tree of policies: PolicyPath/<uuid>/{class,rate,weight}.
const PolicyPath = "/local/domain/0/headgate"

// ChannelName is the name of an xl channel whose other end guestd is.
const ChannelName = "org.headgate.entropy.0"

// Domain is a guest of this host as xenstore has it.
type Domain struct {
	ID     uint16
	UUID   string  // lower case, with dashes; "": not known
	Name   string  // as the toolstack gave it; "": not known
	Offer  *Offer  // nil: it offers no ring
	Policy *Policy // nil: dom0 has none for it
}

// Offer is a ring that a guest offers.
type Offer struct {
	Domain uint16
	vchan.Offer
	// Generation is another whenever the guest has written its nodes: the numbers
	// of a new ring are often those of the old.
	Generation uint64
}

// Policy is what the operator wrote for a domain into dom0's tree, as it is
// written there.
type Policy struct {
	Class, Rate, Weight string
	Unknown             []string // other nodes, such as: node "klass"
}
