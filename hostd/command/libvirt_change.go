package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/kvm/libvirt"
)

// definition is one of the two that libvirt has of a domain: that of the one that
// runs, and that of its next start.
type definition struct {
	libvirt.Domain
	info    libvirt.Info
	live    bool
	devices []device
}

func (d definition) String() string {
	if d.live {
		return printable(d.info.Name) + ", running"
	}
	return printable(d.info.Name) + ", configuration"
}

// sides says which definitions are to be changed.
type sides struct {
	live, config *bool
	asks         string // the flag that asks for the configuration
}

func newSides(c *cobra.Command) sides {
	return sides{
		c.Flags().Bool("live", false, "change the running domain"),
		c.Flags().Bool("config", false, "change what it has from its next start on"),
		"--config",
	}
}

// of gives those that are meant of this domain.
func (s sides) of(d libvirt.Info) (live, config bool, err error) {
	live, config = *s.live, *s.config
	switch {
	case !live && !config:
		live, config = d.Active, d.Persistent
	case live && !d.Active:
		return false, false, fmt.Errorf("domain %s does not run: leave --live out", printable(d.Name))
	case config && !d.Persistent:
		return false, false, fmt.Errorf("domain %s is transient and has no next start: leave %s out", printable(d.Name), s.asks)
	}
	return live, config, nil
}

// change plans what is to be done to a domain, and if that can be, does it. What
// fails on the running domain keeps nothing from its configuration.
func (a *App) change(ctx context.Context, domain string, on sides, planned func(definition, control.Status) (plan, error)) error {
	ctx, stop := context.WithTimeout(ctx, libvirtPatience)
	defer stop()
	conn, err := a.libvirtd(ctx, false)
	if err != nil {
		return err
	}
	defer conn.Close()
	info, err := conn.Lookup(ctx, domain)
	if err != nil {
		return err
	}
	live, inConfig, err := on.of(info)
	if err != nil {
		return err
	}
	status, absent := a.daemonStatus(ctx)
	var todo []change
	for _, side := range []struct{ asked, live bool }{{live, true}, {inConfig, false}} {
		if !side.asked {
			continue
		}
		d, err := define(ctx, conn, info, side.live)
		if err != nil {
			return fmt.Errorf("domain %v: %w", d, err)
		}
		p, err := planned(d, status)
		if err != nil {
			return err
		}
		todo = append(todo, change{d, p})
	}
	var failed []error
	var notes []string
	for _, c := range todo {
		more, err := a.carryOut(ctx, conn, c)
		if err != nil {
			failed = append(failed, fmt.Errorf("domain %v: %w", c.definition, err))
		}
		notes = append(append(notes, c.plan.notes...), more...)
	}
	if absent != nil {
		notes = append(notes, a.withoutHostd(absent))
	}
	a.printNotes(notes)
	return errors.Join(failed...)
}

// change is what is to be done to one definition.
type change struct {
	definition definition
	plan       plan
}

// printNotes leaves out what was said: both definitions have mostly the same.
func (a *App) printNotes(notes []string) {
	for i, n := range notes {
		if !slices.Contains(notes[:i], n) {
			fmt.Fprintln(a.Out, "note: "+printable(n))
		}
	}
}

func define(ctx context.Context, conn libvirtd, info libvirt.Info, live bool) (definition, error) {
	d := definition{info: info, live: live}
	text, err := conn.XML(ctx, info.UUID, !live)
	if err != nil {
		return d, fmt.Errorf("read its XML: %w", err)
	}
	if d.Domain, err = libvirt.ParseDomain(text); err != nil {
		return d, err
	}
	d.devices, err = devicesOf(text)
	return d, err
}

// carryOut does what is planned, and gives what could not be done but need not be.
func (a *App) carryOut(ctx context.Context, conn libvirtd, c change) (notes []string, err error) {
	d, p := c.definition, c.plan
	if len(p.steps) == 0 {
		_, err := fmt.Fprintf(a.Out, "%v: nothing to do, it is so already\n", d)
		return nil, err
	}
	if d.live && p.plugs() {
		// QEMU refuses a socket that is not there, reconnect or not.
		if err := a.announce(ctx, p.after(d.Domain)); err != nil {
			return nil, fmt.Errorf("have hostd make its socket: %w; a running domain needs that, --config alone does not", err)
		}
	}
	var plugged []device
	for _, s := range p.steps {
		done, err := s.take(ctx, conn, d)
		switch {
		case err != nil && s.optional:
			notes = append(notes, fmt.Sprintf("%v: %v", d, err))
			continue
		case err != nil:
			return append(notes, reconnectNote(d, plugged)...), err
		}
		fmt.Fprintf(a.Out, "%v: %s\n", d, done)
		if s.act == plug {
			plugged = append(plugged, s.device)
		}
	}
	return append(notes, reconnectNote(d, plugged)...), nil
}

// reconnectNote says what is to be known of devices that were plugged in live.
func reconnectNote(d definition, plugged []device) []string {
	if !d.live || len(plugged) == 0 {
		return nil
	}
	port := ""
	if slices.ContainsFunc(plugged, func(d device) bool { return d.Channel != nil }) {
		port = " --port"
	}
	return []string{fmt.Sprintf("libvirt 9.0 forgets the reconnect of what is plugged in: until its next start, a restart of hostd cuts it off, and this mends it: hostd libvirt attach %s --live%s --replace",
		config.ShellWord(d.info.Name), port)}
}

// announce has hostd make the sockets of a domain as it will be.
func (a *App) announce(ctx context.Context, d libvirt.Domain) error {
	ctx, stop := context.WithTimeout(ctx, controlPatience)
	defer stop()
	client := a.client()
	defer client.Close()
	return client.Hook(ctx, control.HookCall{Op: control.OpAttach, Domain: d})
}

// take does the step, and says what was done.
func (s step) take(ctx context.Context, conn libvirtd, d definition) (done string, err error) {
	uuid := d.info.UUID
	switch s.act {
	case plug:
		if err := conn.AttachDevice(ctx, uuid, s.device.XML, d.live, !d.live); err != nil {
			return "", fmt.Errorf("add the %v: %w%s", s.device, err, hint(err))
		}
		return fmt.Sprintf("%v added", s.device), nil
	case unplug:
		if err := conn.DetachDevice(ctx, uuid, s.device.XML, d.live, !d.live); err != nil {
			return "", fmt.Errorf("remove the %v: %w%s", s.device, err, hint(err))
		}
		if d.live {
			if err := letGo(ctx, conn, d, s.device); err != nil {
				return "", err
			}
		}
		return fmt.Sprintf("%v removed", s.device), nil
	}
	if s.act == rewire || s.act == unwire {
		return s.rewire(ctx, conn, uuid)
	}
	text, done := "", "policy removed"
	if s.act == setPolicy {
		if text, err = libvirt.PolicyXML(s.policy); err != nil {
			return "", err
		}
		done = "policy set: " + policyText(*fromXML(&s.policy))
	}
	if err := conn.SetPolicy(ctx, uuid, text, d.live, !d.live); err != nil {
		return "", fmt.Errorf("set its policy: %w", err)
	}
	return done, nil
}

// letGo tells whether a running guest has let go of a device: libvirt asks it to,
// and gives no error where it did not within 5 s.
func letGo(ctx context.Context, conn libvirtd, d definition, gone device) error {
	now, err := define(ctx, conn, d.info, true)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(now.devices, func(o device) bool { return o.XML == gone.XML }) {
		return fmt.Errorf("remove the %v: the guest has not let go of it: do it again, or restart the domain", gone)
	}
	return nil
}

// hint says what to do about an error of libvirt or QEMU that has a known cause.
func hint(err error) string {
	text := err.Error()
	for _, known := range []struct{ part, remedy string }{
		{"PCI slots", "its machine has no free slot to plug into: give --config, and start it anew, or add a controller of type pci, model pcie-root-port"},
		{"virtio-serial", "it gets one from its next start on: give --config, and start it anew"},
		{"not support hotplugging", "its machine takes no devices while it runs (without <acpi/>, for one): give --config, and start it anew"},
		{"Permission denied", "QEMU may not use the socket: \"hostd libvirt doctor\" says why"},
		{"No such file", "hostd has not made the socket: \"hostd events\" says why"},
		{"Connection refused", "nobody is at the socket: \"hostd guest list\" says why"},
	} {
		if strings.Contains(text, known.part) {
			return ": " + known.remedy
		}
	}
	return ""
}
