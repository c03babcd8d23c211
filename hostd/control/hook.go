package control

import (
	"fmt"
	"slices"
	"strings"

	"headgate/hostd/config"
	"headgate/kvm/libvirt"
)

// HookCall is what libvirt's hook is told, or what the command line tells before
// a live attach.
type HookCall struct {
	// Op is libvirt's name of the operation: prepare, start, started, restore,
	// migrate, reconnect, stopped or release (https://libvirt.org/hooks.html), or
	// OpAttach.
	Op     string         `json:"op"`
	Domain libvirt.Domain `json:"domain"`
	// At is when it was told, as libvirt.Clock says: a call that hostd comes to late must
	// not undo what has happened since. Zero: now; Client.Hook fills it in.
	At int64 `json:"at,omitempty"`
}

// OpAttach says that the domain will have a device that it does not have yet.
const OpAttach = "attach"

// hookOps are the operations that may be told.
var hookOps = []string{"prepare", "start", "started", "restore", "migrate", "reconnect", "stopped", "release", OpAttach}

// Bounds of the devices that are told, so that a domain fits a request even where
// JSON makes six bytes of one. A unix socket's path has at most 107 bytes
// (linux/un.h), and one device of each kind is all that is wanted: what is beyond
// these is not ours. The other texts are bounded as libvirt.ParseDomain does.
const (
	maxDevices = 16
	maxWord    = 32  // bytes of what is one word
	MaxPath    = 256 // bytes of a path, as long as one in the longest folder of libvirt.guests and longer
)

// Check says what is wrong with a call; the error is an ErrInvalid.
func (h HookCall) Check() error {
	if !slices.Contains(hookOps, h.Op) {
		return fmt.Errorf("%w op %s: allowed: %s", ErrInvalid, quoted(h.Op), strings.Join(hookOps, ", "))
	}
	if err := CheckDomain(h.Domain); err != nil {
		return err
	}
	d := h.Domain
	if len(d.RNGs) > maxDevices || len(d.Channels) > maxDevices || len(d.Vhosts) > maxDevices {
		return fmt.Errorf("%w domain %s: it has %d rng devices, %d channels and %d vhost-user devices; allowed: the first %d of each that are at a unix socket",
			ErrInvalid, quoted(d.Name), len(d.RNGs), len(d.Channels), len(d.Vhosts), maxDevices)
	}
	if len(d.Label) > libvirt.MaxLabel {
		return fmt.Errorf("%w domain %s: its label has %d bytes; allowed: at most %d", ErrInvalid, quoted(d.Name), len(d.Label), libvirt.MaxLabel)
	}
	return checkPolicy(d)
}

func checkPolicy(d libvirt.Domain) error {
	if d.Policy == nil {
		return nil
	}
	p := *d.Policy
	if len(p.Unknown) > libvirt.MaxUnknown {
		return fmt.Errorf("%w domain %s: its policy has %d unknown attributes; allowed: the first %d", ErrInvalid, quoted(d.Name), len(p.Unknown), libvirt.MaxUnknown)
	}
	for _, text := range append([]string{p.Class, p.Rate, p.Weight, p.Quality}, p.Unknown...) {
		if len(text) > libvirt.MaxValue {
			return fmt.Errorf("%w domain %s: a text of its policy has %d bytes; allowed: at most %d", ErrInvalid, quoted(d.Name), len(text), libvirt.MaxValue)
		}
	}
	return nil
}

// CheckDomain says what is wrong with the name, UUID or id of a domain; the error
// is an ErrInvalid.
func CheckDomain(d libvirt.Domain) error {
	if err := config.CheckDomainName(d.Name); err != nil {
		return fmt.Errorf("%w domain: %w", ErrInvalid, err)
	}
	if !config.IsUUID(d.UUID) {
		return fmt.Errorf("%w domain %s: %s is not its UUID; allowed: lower-case hexadecimal digits with dashes, as libvirt writes it",
			ErrInvalid, quoted(d.Name), quoted(d.UUID))
	}
	if d.ID < 0 {
		return fmt.Errorf("%w domain %s: id %d; allowed: that of a running domain, or 0", ErrInvalid, quoted(d.Name), d.ID)
	}
	return nil
}

// quoted is a text of somebody else's, short and on one line.
func quoted(s string) string { return fmt.Sprintf("%.80q", s) }

// bounded is the call without what is too much of it: a domain has devices that
// are not ours.
func (h HookCall) bounded() HookCall {
	var rngs []libvirt.RNG
	for _, r := range h.Domain.RNGs {
		if r.Backend == "egd" && r.Type == "unix" && len(rngs) < maxDevices && len(r.Path) <= MaxPath {
			// What is longer than any that is right stays wrong.
			rngs = append(rngs, libvirt.RNG{
				Backend: r.Backend, Type: r.Type, Mode: config.Clip(r.Mode, maxWord), Path: r.Path, Reconnect: r.Reconnect, Alias: config.Clip(r.Alias, maxWord),
			})
		}
	}
	var channels []libvirt.Channel
	for _, c := range h.Domain.Channels {
		if len(channels) < maxDevices && len(c.Path) <= MaxPath {
			c.Mode = config.Clip(c.Mode, maxWord)
			channels = append(channels, c)
		}
	}
	var vhosts []libvirt.Vhost
	for _, v := range h.Domain.Vhosts {
		if len(vhosts) < maxDevices && v.Path != "" && len(v.Path) <= MaxPath {
			vhosts = append(vhosts, v)
		}
	}
	h.Domain.RNGs, h.Domain.Channels, h.Domain.Vhosts = rngs, channels, vhosts
	return h
}
