package command

import (
	"fmt"
	"strings"

	"headgate/hostd/control"
	"headgate/kvm/libvirt"
)

// device is an rng device, guestd's port or a vhost-user-rng device of a domain.
type device struct {
	libvirt.Device
	cut bool // it runs, and is not connected to hostd, which waits for it
}

// devicesOf finds the devices of these kinds that a domain has.
func devicesOf(text []byte) ([]device, error) {
	found, err := libvirt.Devices(text)
	devices := make([]device, len(found))
	for i, d := range found {
		devices[i].Device = d
	}
	return devices, err
}

// deviceOf is the one whose XML, inside <devices>, this is.
func deviceOf(text string) (device, error) {
	found, err := devicesOf([]byte("<domain><devices>" + text + "</devices></domain>"))
	if err == nil && len(found) != 1 {
		err = fmt.Errorf("%d devices, and not one, in %q", len(found), text)
	}
	if err != nil {
		return device{}, err
	}
	return found[0], nil
}

// String names the device for people.
func (d device) String() string {
	switch {
	case d.Channel != nil:
		return "port at " + printable(d.socket())
	case d.Vhost != nil:
		return "vhost-user device at " + printable(d.socket())
	case d.socket() != "":
		return "rng device at " + printable(d.socket())
	}
	return "rng device " + printable(strings.TrimSpace(d.RNG.Backend+" "+d.RNG.Path))
}

// socket is the unix socket that the device is at; "": at none.
func (d device) socket() string {
	switch {
	case d.Channel != nil:
		return d.Channel.Path
	case d.Vhost != nil:
		return d.Vhost.Path
	case d.RNG.Backend == "egd" && d.RNG.Type == "unix":
		return d.RNG.Path
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
func (d device) flaw() (flaw string) {
	switch {
	case d.Vhost != nil:
		return d.Vhost.Flaw()
	case d.Channel != nil:
		flaw = d.Channel.Flaw()
	default:
		flaw = d.RNG.Flaw()
	}
	if flaw == "" && d.cut {
		flaw = "is not connected: one that was plugged in does not reconnect by itself in libvirt 9.0"
	}
	return flaw
}
