package command

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"headgate/hostd/config"
	"headgate/xen"
	"headgate/xen/xenstore"
)

func (a *App) xen() *cobra.Command {
	c := group(&cobra.Command{
		Use:   "xen",
		Short: "Feed the domains of this Xen host",
		Long: "Feed the domains of this Xen host, from dom0: say which are fed, and how. What is said\n" +
			"stands in dom0's own part of xenstore, where no guest can write, and is gone when the host\n" +
			"reboots; what is to stay is a guest of hostd's configuration, with the pipe vchan:DOMAIN.",
		Example: "  hostd xen attach web1 --class gold\n  hostd xen status\n  hostd xen doctor",
	}, a.xenList(), a.xenAttach(), a.xenDetach(), a.xenStatus(), a.xenDoctor())
	c.PersistentFlags().StringVar(&a.xenstorePath, "xenstore", "",
		"socket or device `PATH` of xenstored (default: "+xenstore.SocketPath+", else "+xenstore.DevicePath+")")
	return c
}

// xenstore connects to the path asked for, or where xenstored is in a dom0.
func (a *App) xenstore() (*xenstore.Conn, error) {
	if a.xenstorePath == "" {
		if err := a.dom0(); err != nil {
			return nil, err
		}
		return xenstore.Open()
	}
	s, err := xenstore.Dial(a.xenstorePath)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no xenstored is at %s: leave --xenstore out to have it found", a.xenstorePath)
	}
	return s, err
}

// findDomain finds a domain by name, UUID or domid. One that is named by its UUID
// need not be there: it has then a UUID and perhaps a policy.
func findDomain(s *xenstore.Conn, key string) (xen.Domain, error) {
	d, err := xen.Find(s, key)
	uuid := strings.ToLower(key)
	switch {
	case err == nil && d.UUID == "":
		return d, fmt.Errorf("domain %s, %d: its toolstack gave it no UUID, by which a policy is kept: have it fed with hostd guest add NAME --pipe vchan:%d",
			key, d.ID, d.ID)
	case errors.Is(err, fs.ErrNotExist) && config.IsUUID(uuid):
		d = xen.Domain{UUID: uuid}
		d.Policy, err = storedPolicy(s, uuid)
	case errors.Is(err, fs.ErrNotExist):
		return d, fmt.Errorf("%w; one that is not there is named by its UUID", err)
	}
	return d, err
}

// domainText names a domain for people.
func domainText(d xen.Domain) string {
	switch {
	case d.ID == 0:
		return d.UUID
	case d.Name == "":
		return fmt.Sprintf("domain %d", d.ID)
	}
	return fmt.Sprintf("%s, domain %d", printable(d.Name), d.ID)
}

// fromStore is a policy of dom0's tree, if there is one.
func fromStore(p *xen.Policy) *config.Policy {
	if p == nil {
		return nil
	}
	return &config.Policy{Class: p.Class, Rate: p.Rate, Weight: p.Weight, Unknown: p.Unknown, Operator: true}
}
