package command

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
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

// xenDomain connects to xenstored and finds a domain, as findDomain does.
func (a *App) xenDomain(key string) (*xenstore.Conn, xen.Domain, error) {
	s, err := a.xenstore()
	if err != nil {
		return nil, xen.Domain{}, err
	}
	d, err := findDomain(s, key)
	if err != nil {
		s.Close()
		return nil, d, err
	}
	return s, d, nil
}

// findDomain finds a domain by name, UUID or domid. One that is named by its UUID
// need not be there: it has then a UUID and perhaps a policy. What looks like a UUID
// or a domid is one, whatever somebody has called a domain of theirs; and where names
// are others' to give, as on XAPI, two may have one: it is not guessed which is meant.
func findDomain(s *xenstore.Conn, key string) (found xen.Domain, err error) {
	all, err := xen.Domains(s)
	if err != nil {
		return found, err
	}
	for _, d := range all {
		switch {
		case !means(key, d):
			continue
		case found.ID != 0 && found.UUID != d.UUID:
			return found, fmt.Errorf("domain %q: several are called so, domains %d and %d: name it by its domid or UUID, as hostd xen list shows them", key, found.ID, d.ID)
		}
		found = d // of two with one UUID, as while one migrates within the host, either will do
	}
	uuid := strings.ToLower(key)
	switch {
	case found.ID != 0 && found.UUID == "":
		return found, fmt.Errorf("domain %s, %d: its toolstack gave it no UUID, by which a policy is kept: have it fed with hostd guest add NAME --pipe vchan:%d",
			key, found.ID, found.ID)
	case found.ID == 0 && config.IsUUID(uuid):
		found.UUID = uuid
		found.Policy, err = xen.ReadPolicy(s, uuid)
	case found.ID == 0:
		return found, fmt.Errorf("domain %q: this host has no such domain: xl list shows those that run; one that is not there is named by its UUID", key)
	}
	return found, err
}

// means says whether that is the domain's UUID, domid or else its name.
func means(key string, d xen.Domain) bool {
	uuid := strings.ToLower(key)
	_, err := strconv.ParseUint(key, 10, 64)
	switch {
	case config.IsUUID(uuid):
		return d.UUID == uuid
	case err == nil:
		return key == strconv.Itoa(int(d.ID))
	}
	return d.Name == key
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
