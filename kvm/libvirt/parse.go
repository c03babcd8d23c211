package libvirt

import (
	"encoding/xml"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"libvirt.org/go/libvirtxml"
)

// maxDevices is how many rng devices, and how many ports named EntropyPort, one
// domain may have. A PCI bus has 32 slots, and a guest uses one rng.
const maxDevices = 64

var errDevices = fmt.Errorf("more than %d devices of this kind", maxDevices)

// ParseDomain reads a domain's XML: the live, the persistent, or a hook's. What it
// has no use for it passes over, known or not, so that a domain with devices of a
// later libvirt is read, too.
func ParseDomain(text []byte) (Domain, error) {
	d, err := parse(text)
	if err != nil {
		return Domain{}, fmt.Errorf("domain XML: %w", err)
	}
	return d, nil
}

func parse(text []byte) (Domain, error) {
	doc, err := open(text)
	if err != nil {
		return Domain{}, err
	}
	r := reader{document: doc, text: text}
	if err := r.takeID(); err != nil {
		return Domain{}, err
	}
	if _, err := r.each(r.take); err != nil {
		return Domain{}, err
	}
	if err := r.takeVhosts(); err != nil {
		return Domain{}, err
	}
	if err := r.finish(); err != nil {
		return Domain{}, err
	}
	return r.Domain, nil
}

// reader gathers a domain. Of what a domain has once, the first counts, as with
// libvirt.
type reader struct {
	*document
	Domain
	text               []byte
	policies, metadata int
	arguments          []argument
	memory             memory
}

// decode reads the element that begins at at into one of libvirtxml's. What libvirtxml
// cannot read, of a later libvirt or of somebody's making, spoils that element alone.
func (r *reader) decode(at int64, into any) (ok bool, err error) {
	if err := r.dec.Skip(); err != nil {
		return false, err
	}
	return xml.Unmarshal(r.text[at:r.dec.InputOffset()], into) == nil, nil
}

func (r *reader) takeID() error {
	for _, a := range r.root.Attr {
		if (a.Name != xml.Name{Local: "id"}) {
			continue
		}
		id, err := strconv.ParseInt(a.Value, 10, 32)
		if err != nil {
			return fmt.Errorf("id: %w", err)
		}
		r.ID = int(max(id, 0)) // libvirt has -1 for one that does not run
	}
	return nil
}

func (r *reader) take(e xml.StartElement, at int64) error {
	switch {
	case plain(e, "name"):
		return r.first(e, &r.Name)
	case plain(e, "uuid"):
		return r.takeUUID(e)
	case plain(e, "metadata"):
		r.metadata++
		if r.metadata > 1 {
			return r.dec.Skip()
		}
		_, err := r.each(r.takeMetadata)
		return err
	case plain(e, "devices"):
		_, err := r.each(r.takeDevice)
		return err
	case plain(e, "memoryBacking"):
		_, err := r.memory.takeBacking(r.document)
		return err
	case plain(e, "cpu"):
		return r.memory.takeCPU(r.document)
	case isCommandline(e):
		return r.takeArguments()
	case plain(e, "seclabel"):
		var s libvirtxml.DomainSecLabel
		ok, err := r.decode(at, &s)
		if ok {
			r.takeLabel(s)
		}
		return err
	}
	return r.dec.Skip()
}

func (r *reader) first(e xml.StartElement, to *string) error {
	var text string
	if err := r.dec.DecodeElement(&text, &e); err != nil {
		return err
	}
	if *to == "" {
		*to = text
	}
	return nil
}

func (r *reader) takeUUID(e xml.StartElement) error {
	var text string
	if err := r.first(e, &text); err != nil || r.UUID != "" {
		return err
	}
	u, err := parseUUID(text)
	if err != nil {
		return err
	}
	r.UUID = textOf(u)
	return nil
}

func (r *reader) takeDevice(e xml.StartElement, at int64) error {
	switch {
	case plain(e, "rng"):
		var x libvirtxml.DomainRNG
		ok, err := r.decode(at, &x)
		if err != nil {
			return err
		}
		if len(r.RNGs) == maxDevices {
			return fmt.Errorf("rng: %w", errDevices)
		}
		if !ok {
			x = libvirtxml.DomainRNG{}
		}
		r.RNGs = append(r.RNGs, rngOf(x))
		return nil
	case plain(e, "channel"):
		var x libvirtxml.DomainChannel
		ok, err := r.decode(at, &x)
		if err != nil || !ok {
			return err
		}
		c, ok := portOf(x)
		if !ok {
			return nil
		}
		if len(r.Channels) == maxDevices {
			return fmt.Errorf("channel: %w", errDevices)
		}
		r.Channels = append(r.Channels, c)
		return nil
	}
	return r.dec.Skip()
}

func rngOf(x libvirtxml.DomainRNG) RNG {
	var r RNG
	if x.Alias != nil {
		r.Alias = x.Alias.Name
	}
	switch b := x.Backend; {
	case b == nil: // none that libvirtxml can read
	case b.Random != nil:
		r.Backend, r.Path = "random", strings.TrimSpace(b.Random.Device)
	case b.BuiltIn != nil:
		r.Backend = "builtin"
	case b.EGD != nil:
		r.Backend = "egd"
		switch s := b.EGD.Source; {
		case s == nil:
		case s.UNIX != nil:
			r.Type, r.Mode, r.Path, r.Reconnect = "unix", s.UNIX.Mode, s.UNIX.Path, seconds(s.UNIX.Reconnect)
		case s.TCP != nil:
			r.Type, r.Mode, r.Reconnect = "tcp", s.TCP.Mode, seconds(s.TCP.Reconnect)
		case s.UDP != nil:
			r.Type, r.Mode = "udp", "connect" // and binds, with a second <source>
		}
	}
	return r
}

// portOf is guestd's port, if this channel is one to a unix socket.
func portOf(x libvirtxml.DomainChannel) (Channel, bool) {
	if x.Target == nil || x.Target.VirtIO == nil || x.Target.VirtIO.Name != EntropyPort {
		return Channel{}, false
	}
	if x.Source == nil || x.Source.UNIX == nil {
		return Channel{}, false
	}
	s := x.Source.UNIX
	relabels := !slices.ContainsFunc(s.SecLabel, func(l libvirtxml.DomainDeviceSecLabel) bool {
		return l.Model == "dac" && l.Relabel == "no"
	})
	return Channel{Mode: s.Mode, Path: s.Path, Reconnect: seconds(s.Reconnect), Relabels: relabels}, true
}

func seconds(r *libvirtxml.DomainChardevSourceReconnect) int {
	if r == nil || r.Enabled != "yes" || r.Timeout == nil {
		return 0
	}
	return int(min(*r.Timeout, 1<<30))
}
