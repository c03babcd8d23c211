package command

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"headgate/kvm/libvirt"
)

// A vhost-user device stands in a domain's definition, which is given to libvirt anew:
// it has no call that adds such a device or takes it out, least of all of a domain
// that runs.

// next are the sides of what a domain has from its next start on alone.
func (s sides) next(c *cobra.Command) (sides, error) {
	if *s.live {
		return s, &usageError{c.CommandPath(), errors.New("--vhost-user with --live: QEMU takes its command line at its start alone: leave --live out, and start the domain anew")}
	}
	live, config := false, true
	return sides{&live, &config, "--vhost-user"}, nil
}

// in and out are the steps by which a device comes and goes.
func in(d device) step {
	if d.Vhost != nil {
		return step{act: rewire, device: d}
	}
	return step{act: plug, device: d}
}

func out(d device) step {
	if d.Vhost != nil {
		return step{act: unwire, device: d}
	}
	return step{act: unplug, device: d}
}

// lacksMemory tells whether a vhost-user device wants nothing but shared memory.
func lacksMemory(d device) bool {
	if d.Vhost == nil || !d.Vhost.Private {
		return false
	}
	v := *d.Vhost
	v.Private = false
	return v.Flaw() == ""
}

// rewire gives the domain another definition.
func (s step) rewire(ctx context.Context, conn libvirtd, uuid string) (done string, err error) {
	socket := s.device.socket()
	edit, verb := func(text []byte) ([]byte, error) {
		return libvirt.Unwire(text, func(path string) bool { return path == socket })
	}, "removed"
	if s.act == rewire {
		edit, verb = func(text []byte) ([]byte, error) { return libvirt.Edit(text, libvirt.Wiring{Vhost: socket}) }, "added"
	}
	if err := conn.Rewrite(ctx, uuid, edit); err != nil {
		return "", err
	}
	return fmt.Sprintf("%v %s", s.device, verb), nil
}

// tellOfVhost says what comes with a vhost-user device.
func (p *plan) tellOfVhost(d libvirt.Info) {
	if !slices.ContainsFunc(p.steps, func(s step) bool { return s.act == rewire }) {
		return
	}
	if d.Active {
		p.note("%s has it from its next start on", printable(d.Name))
	}
	p.note("with it %s cannot be saved or migrated, its memory is shared with hostd, and it does not start without the hook, or while hostd is away", printable(d.Name))
}
