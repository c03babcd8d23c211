package libvirt

import (
	"fmt"
	"strings"
)

// Wiring is what a domain is to have. What is left empty stays as it is.
type Wiring struct {
	RNG    string  // an rng device at this socket
	Port   string  // guestd's port at this socket
	Vhost  string  // a vhost-user-rng device at this socket, and shared memory
	Policy *Policy // this policy, in place of the one that is there
}

// Edit wires a domain's XML. It puts in what is missing and leaves every other byte
// as it is, because nobody knows all elements of all libvirts. A domain that has it
// all already comes back unchanged.
func Edit(text []byte, w Wiring) ([]byte, error) {
	d, err := ParseDomain(text)
	if err != nil {
		return nil, err
	}
	devices, err := w.missing(d)
	if err != nil {
		return nil, err
	}
	at, err := survey(text)
	if err != nil {
		return nil, fmt.Errorf("domain XML: %w", err)
	}
	var cuts []cut
	if w.Policy != nil {
		policy, err := PolicyXML(*w.Policy)
		if err != nil {
			return nil, err
		}
		cuts = append(cuts, at.policy(policy)...)
	}
	if len(devices) > 0 {
		cuts = append(cuts, at.device(strings.Join(devices, "\n")))
	}
	if w.Vhost != "" {
		more, err := vhostCuts(d, text, w.Vhost)
		if err != nil {
			return nil, err
		}
		cuts = append(cuts, more...)
	}
	out := apply(text, cuts)
	if len(out) > MaxXML {
		return nil, fmt.Errorf("domain XML: with what is to be added, %w", errTooLong)
	}
	return out, nil
}

// vhostCuts puts in what d lacks of a vhost-user-rng device.
func vhostCuts(d Domain, text []byte, socket string) ([]cut, error) {
	at, err := surveyVhosts(text)
	if err != nil {
		return nil, fmt.Errorf("domain XML: %w", err)
	}
	cuts, err := at.share()
	if err != nil {
		return nil, fmt.Errorf("domain %q: %w", clip(d.Name), err)
	}
	for _, v := range d.Vhosts {
		if v.Path != socket {
			continue
		}
		v.Private = false // it will not be
		if flaw := v.Flaw(); flaw != "" {
			return nil, fmt.Errorf("domain %q: its vhost-user device at %s %s: take that one out first", clip(d.Name), clip(socket), flaw)
		}
		return cuts, nil
	}
	device, err := at.device(socket)
	return append(cuts, device), err
}

// Unwire takes out of a domain's XML the vhost-user-rng devices whose sockets are such,
// and leaves every other byte as it is: the memory stays shared, which others may need.
func Unwire(text []byte, at func(socket string) bool) ([]byte, error) {
	if _, err := ParseDomain(text); err != nil {
		return nil, err
	}
	places, err := surveyVhosts(text)
	if err != nil {
		return nil, fmt.Errorf("domain XML: %w", err)
	}
	cuts, err := places.without(at)
	if err != nil {
		return nil, fmt.Errorf("domain XML: %w", err)
	}
	return apply(text, cuts), nil
}

// missing gives the devices that d does not have yet.
func (w Wiring) missing(d Domain) ([]string, error) {
	var out []string
	if w.RNG != "" {
		device, err := RNGXML(w.RNG)
		if err != nil {
			return nil, err
		}
		if _, there := d.EGD(w.RNG); !there {
			out = append(out, device)
		}
	}
	if w.Port != "" {
		device, err := ChannelXML(w.Port)
		if err != nil {
			return nil, err
		}
		if _, there := d.Port(w.Port); !there {
			if len(d.Channels) > 0 {
				return nil, fmt.Errorf("domain %q has a port %s at %q already, and guestd reads one: take that one out first", clip(d.Name), EntropyPort, clip(d.Channels[0].Path))
			}
			out = append(out, device)
		}
	}
	return out, nil
}
