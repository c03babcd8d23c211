package command

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"headgate/hostd/control"
	"headgate/kvm/libvirt"
)

// device is an rng device or guestd's port, as it stands in a domain's XML.
// libvirt wants that very text back to take it out.
type device struct {
	xml     string
	rng     *libvirt.RNG
	channel *libvirt.Channel
	cut     bool // it runs, and is not connected to hostd, which waits for it
}

// devicesOf finds the rng devices and guestd's ports of a domain.
func devicesOf(text []byte) ([]device, error) {
	if len(text) > libvirt.MaxXML {
		return nil, fmt.Errorf("domain XML of %d bytes; allowed: %d", len(text), libvirt.MaxXML)
	}
	var found []device
	dec := xml.NewDecoder(bytes.NewReader(text))
	inDevices := false
	for depth := 0; ; {
		begin := dec.InputOffset()
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return nil, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			plain := token.Name.Space == ""
			switch {
			case depth == 1:
				inDevices = plain && token.Name.Local == "devices"
			case depth == 2 && inDevices && plain && (token.Name.Local == "rng" || token.Name.Local == "channel"):
				if err := dec.Skip(); err != nil {
					return nil, err
				}
				d, err := deviceOf(string(text[begin:dec.InputOffset()]))
				if err != nil {
					return nil, err
				}
				if d.rng != nil || d.channel != nil {
					found = append(found, d)
				}
				continue
			}
			depth++
		case xml.EndElement:
			depth--
		}
	}
}

// deviceOf reads one device; it is neither rng nor port if it is another channel.
func deviceOf(text string) (device, error) {
	d, err := libvirt.ParseDomain([]byte("<domain><devices>" + text + "</devices></domain>"))
	if err != nil {
		return device{}, err
	}
	out := device{xml: text}
	if len(d.RNGs) == 1 {
		out.rng = &d.RNGs[0]
	}
	if len(d.Channels) == 1 {
		out.channel = &d.Channels[0]
	}
	return out, nil
}

// String names the device for people.
func (d device) String() string {
	switch {
	case d.channel != nil:
		return "port at " + printable(d.socket())
	case d.socket() != "":
		return "rng device at " + printable(d.socket())
	}
	return "rng device " + printable(strings.TrimSpace(d.rng.Backend+" "+d.rng.Path))
}

// socket is the unix socket that the device is at; "": at none.
func (d device) socket() string {
	switch {
	case d.channel != nil:
		return d.channel.Path
	case d.rng.Backend == "egd" && d.rng.Type == "unix":
		return d.rng.Path
	}
	return ""
}

// markCut marks the devices of a running domain that hostd waits for in vain.
func markCut(devices []device, guests []control.GuestStatus) {
	waits := map[string]bool{}
	for _, g := range guests {
		for _, p := range g.Pipes {
			waits[p.Path] = !p.Connected && p.Error == ""
		}
	}
	for i, d := range devices {
		devices[i].cut = waits[d.socket()]
	}
}

// flaw says why a device that is at the right socket is no good; "": it is.
func (d device) flaw() string {
	mode, reconnect, relabels := "", 0, false
	if c := d.channel; c != nil {
		mode, reconnect, relabels = c.Mode, c.Reconnect, c.Relabels
	} else {
		mode, reconnect = d.rng.Mode, d.rng.Reconnect
	}
	switch {
	case mode != "connect":
		return "waits there itself, where hostd does"
	case reconnect == 0:
		return "does not reconnect, and gets nothing once hostd was restarted"
	case d.cut:
		return "is not connected: one that was plugged in does not reconnect by itself in libvirt 9.0"
	case relabels:
		return "has no <seclabel model='dac' relabel='no'/>, and does not let the domain start while hostd is away"
	}
	return ""
}
