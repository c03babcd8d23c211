package control

import (
	"fmt"
	"slices"
	"strings"
	"time"

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
	// At is when it was told: a call that hostd comes to late must not undo what
	// has happened since. Zero: now; Client.Hook fills it in.
	At time.Time `json:"at,omitzero"`
}

// OpAttach says that the domain will have a device that it does not have yet.
const OpAttach = "attach"

// hookOps are the operations that may be told.
var hookOps = []string{"prepare", "start", "started", "restore", "migrate", "reconnect", "stopped", "release", OpAttach}

// Bounds of a domain that is told, so that it fits a request even where JSON makes
// six bytes of one. A unix socket's path has at most 107 bytes (linux/un.h), and
// one device of each kind is all that is wanted: what is beyond these is not ours.
const (
	maxDevices = 16
	maxText    = 128  // bytes of a path, or a value of the policy
	maxWord    = 32   // bytes of what is one word
	maxLabel   = 1024 // bytes of an SELinux label, with many categories
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
	if len(d.RNGs) > maxDevices || len(d.Channels) > maxDevices {
		return fmt.Errorf("%w domain %s: it has %d rng devices and %d channels; allowed: the first %d of each that connect to a unix socket",
			ErrInvalid, quoted(d.Name), len(d.RNGs), len(d.Channels), maxDevices)
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

// bounded is the call without what is too much of it: a domain may have thousands
// of devices that are not ours, and metadata of megabytes.
func (h HookCall) bounded() HookCall {
	var rngs []libvirt.RNG
	for _, r := range h.Domain.RNGs {
		if r.Backend == "egd" && r.Type == "unix" && len(rngs) < maxDevices && len(r.Path) <= maxText {
			rngs = append(rngs, libvirt.RNG{
				Backend: r.Backend, Type: r.Type, Mode: cut(r.Mode, maxWord), Path: r.Path, Reconnect: r.Reconnect, Alias: cut(r.Alias, maxWord),
			})
		}
	}
	var channels []libvirt.Channel
	for _, c := range h.Domain.Channels {
		if len(channels) < maxDevices && len(c.Path) <= maxText {
			c.Mode = cut(c.Mode, maxWord)
			channels = append(channels, c)
		}
	}
	h.Domain.RNGs, h.Domain.Channels = rngs, channels
	if len(h.Domain.Label) > maxLabel {
		h.Domain.Label = "" // part of a label is another label
	}
	if p := h.Domain.Policy; p != nil {
		short := libvirt.Policy{Class: cut(p.Class, maxText), Rate: cut(p.Rate, maxText), Weight: cut(p.Weight, maxText), Quality: cut(p.Quality, maxText)}
		for _, u := range p.Unknown[:min(len(p.Unknown), maxDevices)] {
			short.Unknown = append(short.Unknown, cut(u, maxWord))
		}
		h.Domain.Policy = &short
	}
	return h
}

// cut keeps a text short. What is longer than any that is right stays wrong.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
