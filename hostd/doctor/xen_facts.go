package doctor

import (
	"time"

	"headgate/hostd/control"
	"headgate/xen"
	"headgate/xen/xenstore"
)

// XenFacts are what there is to judge of a Xen host, as one look at it found it.
type XenFacts struct {
	Now     time.Time // when they were found
	Hostd   Hostd
	User    *User // whom hostd runs as; nil: not known
	Dom0    error // why this is no dom0
	Store   Store
	Devices []Device
	Only    string      // the one domain that was asked for; "": all
	Domains []XenDomain // in the order of their names
	Strays  []Stray     // channels of guests that no domain has
}

// Store is xenstored.
type Store struct {
	Where string
	Err   error // why it could not be asked
}

// Device is one of the kernel's for a dom0.
type Device struct {
	Path   string
	Module string // that makes it
	Way    Way
}

// XenDomain is one of Xen's.
type XenDomain struct {
	xen.Domain
	Channels []Channel
	Ways     map[string]Way // to the sockets of its channels
}

// Stray is a channel pipe of a guest, to a socket that is no domain's now.
type Stray struct {
	Guest string
	Path  string
	Way   Way
}

// Channel is an xl channel for guestd, as the toolstack wrote it into dom0's tree.
type Channel struct {
	Connection string `json:"connection"` // socket or pty
	Path       string `json:"path,omitempty"`
}

// maxConsoles is how many consoles and channels of a domain are looked at.
const maxConsoles = 64

// Channels are those of a domain that are for guestd. Their backend's nodes are dom0's
// own (libxl__device_console_add, tools/libs/light/libxl_console.c).
func Channels(s *xenstore.Conn, id uint16) ([]Channel, error) {
	if id == 0 {
		return nil, nil
	}
	base := "/local/domain/0/backend/console/" + number(id)
	consoles, err := s.List(base)
	if err != nil {
		return nil, absentIsNil(err)
	}
	var found []Channel
	for _, n := range consoles[:min(len(consoles), maxConsoles)] {
		name, err := s.Read(base + "/" + n + "/name")
		if err != nil || name != xen.ChannelName {
			continue // the first console has no name
		}
		var c Channel
		c.Connection, _ = s.Read(base + "/" + n + "/connection") // "" where it has gone
		c.Path, _ = s.Read(base + "/" + n + "/path")
		found = append(found, c)
	}
	return found, nil
}

// GuestOf finds the guest of a domain that is there, and the pipe of it that leads to
// the domain: one that is connected before others.
func GuestOf(d xen.Domain, channels []Channel, guests []control.GuestStatus) (found *control.GuestStatus, by control.PipeStatus) {
	for i, g := range guests {
		for _, p := range g.Pipes {
			if leads(d, channels, g, p) && (found == nil || p.Connected && !by.Connected) {
				found, by = &guests[i], p
			}
		}
	}
	return found, by
}

// leads tells whether a guest's pipe leads to the domain. Of two domains with one name
// or UUID, as while one migrates within the host, hostd says which it is.
func leads(d xen.Domain, channels []Channel, g control.GuestStatus, p control.PipeStatus) bool {
	switch p.Kind {
	case "vchan":
		return d.Is(p.Path) && (g.Domain == nil || g.Domain.ID == 0 || g.Domain.ID == int(d.ID))
	case "channel":
		for _, c := range channels {
			if c.Path == p.Path {
				return true
			}
		}
	}
	return false
}

// XenProblems are what hostd has found wrong with a domain, whether or not it has a
// guest.
func XenProblems(d xen.Domain, g *control.GuestStatus, s control.Status) (found []control.Problem) {
	if g != nil && g.Domain != nil {
		return g.Domain.Problems
	}
	for _, p := range s.Xen.Problems {
		if p.ID != 0 && p.ID == int(d.ID) {
			found = append(found, p.Problem)
		}
	}
	return found
}
