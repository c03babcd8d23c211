package command

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"headgate/hostd/config"
	"headgate/kvm/libvirt"
)

func (a *App) libvirtXML() *cobra.Command {
	c := &cobra.Command{
		Use:   "xml DOMAIN",
		Short: "Print the XML that wires a domain, for its definition",
		Long: "Print what attach would give a domain, for a template or a definition that is made\n" +
			"elsewhere. libvirt need not run, nor have that domain yet.",
		Example: "  hostd libvirt xml web1 --class gold --rate 4KiB/s",
		Args:    exactly("DOMAIN"),
	}
	policy := domainsPolicy(c)
	port := c.Flags().Bool("port", false, "also guestd's port, "+libvirt.EntropyPort)
	vhost := c.Flags().Bool("vhost-user", false, "a vhost-user-rng device instead of the rng device")
	c.RunE = func(c *cobra.Command, args []string) error {
		ctx, stop := context.WithTimeout(c.Context(), libvirtPatience)
		defer stop()
		domain, err := a.nameDomain(ctx, args[0])
		if err != nil {
			return err
		}
		status, absent := a.daemonStatus(ctx)
		if absent != nil {
			fmt.Fprintf(a.Err, "note: %s\n", a.withoutHostd(absent))
		}
		if err := policy.check(domain.Name, status.Classes, nil); err != nil {
			return err
		}
		w, err := wiringOf(ownEnds(domain, a.socketsOf(status)), *port, *vhost)
		if err != nil {
			return err
		}
		w.policy = *policy
		text, err := w.xml()
		if err != nil {
			return err
		}
		_, err = fmt.Fprint(a.Out, text)
		return err
	}
	return c
}

// nameDomain finds a domain's name and UUID. One that libvirt does not have, or
// cannot be asked about, has the name that it is given.
func (a *App) nameDomain(ctx context.Context, domain string) (libvirt.Info, error) {
	conn, err := a.libvirtd(ctx, true)
	if err == nil {
		defer conn.Close()
		var info libvirt.Info
		if info, err = conn.Lookup(ctx, domain); err == nil {
			return info, nil
		}
	}
	if wrong := config.CheckName(domain); wrong != nil || config.IsUUID(strings.ToLower(domain)) {
		return libvirt.Info{}, fmt.Errorf("a domain with such a name goes by its UUID, which libvirt has to say: %w", err)
	}
	fmt.Fprintf(a.Err, "note: %v; this is for a domain with the name %s\n", err, domain)
	return libvirt.Info{Name: domain}, nil
}

// xml writes the wiring with a comment on where each piece goes.
func (w wiring) xml() (string, error) {
	var b strings.Builder
	if p := w.policy.over(nil); p != nil {
		text, err := libvirt.PolicyXML(toXML(*p))
		if err != nil {
			return "", err
		}
		b.WriteString("<!-- in <metadata> -->\n" + text + "\n")
	}
	vhost := ""
	if w.rng.Vhost != nil {
		var err error
		if vhost, err = libvirt.VhostXML(w.rng.socket()); err != nil {
			return "", err
		}
		b.WriteString("<!-- in <domain> -->\n" + libvirt.SharedMemoryXML + "\n")
	}
	if vhost == "" || w.port != nil {
		b.WriteString("<!-- in <devices> -->\n")
	}
	if vhost == "" {
		b.WriteString(w.rng.XML + "\n")
	}
	if w.port != nil {
		b.WriteString(w.port.XML + "\n")
	}
	if vhost != "" {
		b.WriteString("<!-- in <domain>, behind <devices> -->\n" + vhost + "\n")
	}
	return b.String(), nil
}
