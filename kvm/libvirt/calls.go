package libvirt

import (
	"context"
	"fmt"

	rpc "github.com/digitalocean/go-libvirt"
)

// Info is a domain in libvirt's list.
type Info struct {
	Name       string
	UUID       string
	ID         int // of the running domain; 0: it does not run
	Active     bool
	Persistent bool // there is a definition that outlives the running domain
}

func infoOf(d rpc.Domain) Info {
	i := Info{Name: d.Name, UUID: textOf(d.UUID), Active: d.ID >= 0} // -1: inactive
	if i.Active {
		i.ID = int(d.ID)
	}
	return i
}

// Domains lists those that run, or all.
func (c *Conn) Domains(ctx context.Context, all bool) ([]Info, error) {
	flags := rpc.ConnectListDomainsActive
	if all {
		flags |= rpc.ConnectListDomainsInactive
	}
	domains, err := c.list(ctx, flags)
	if err != nil {
		return nil, err
	}
	lasting, err := c.list(ctx, flags|rpc.ConnectListDomainsPersistent)
	if err != nil {
		return nil, err
	}
	persistent := map[rpc.UUID]bool{}
	for _, d := range lasting {
		persistent[d.UUID] = true
	}
	infos := make([]Info, 0, len(domains))
	for _, d := range domains {
		info := infoOf(d)
		info.Persistent = persistent[d.UUID]
		infos = append(infos, info)
	}
	return infos, nil
}

func (c *Conn) list(ctx context.Context, flags rpc.ConnectListAllDomainsFlags) ([]rpc.Domain, error) {
	domains, err := call(ctx, c, func() ([]rpc.Domain, error) {
		domains, _, err := c.rpc.ConnectListAllDomains(1, flags)
		return domains, err
	})
	if err != nil {
		return nil, fmt.Errorf("list the domains: %w", err)
	}
	return domains, nil
}

// Lookup finds a domain by its UUID or its name; ErrNoDomain: there is none.
func (c *Conn) Lookup(ctx context.Context, nameOrUUID string) (Info, error) {
	d, err := c.find(ctx, nameOrUUID)
	if err != nil {
		return Info{}, err
	}
	persistent, err := call(ctx, c, func() (int32, error) { return c.rpc.DomainIsPersistent(d) })
	if err != nil {
		return Info{}, fmt.Errorf("domain %q: %w", clip(nameOrUUID), err)
	}
	info := infoOf(d)
	info.Persistent = persistent != 0
	return info, nil
}

func (c *Conn) find(ctx context.Context, nameOrUUID string) (rpc.Domain, error) {
	d, err := c.byUUID(ctx, nameOrUUID)
	if err != nil {
		d, err = call(ctx, c, func() (rpc.Domain, error) { return c.rpc.DomainLookupByName(nameOrUUID) })
	}
	if err != nil {
		return d, fmt.Errorf("domain %q: %w", clip(nameOrUUID), err)
	}
	return d, nil
}

func (c *Conn) byUUID(ctx context.Context, uuid string) (rpc.Domain, error) {
	u, err := parseUUID(uuid)
	if err != nil {
		return rpc.Domain{}, err
	}
	return call(ctx, c, func() (rpc.Domain, error) { return c.rpc.DomainLookupByUUID(u) })
}

// on finds the domain with that UUID and runs a request on it.
func on[T any](ctx context.Context, c *Conn, uuid string, request func(d rpc.Domain) (T, error)) (T, error) {
	d, err := c.byUUID(ctx, uuid)
	if err == nil {
		var value T
		if value, err = call(ctx, c, func() (T, error) { return request(d) }); err == nil {
			return value, nil
		}
	}
	var none T
	return none, fmt.Errorf("domain %s: %w", clip(uuid), err)
}

// XML is a domain's XML as it runs now, or, if it does not run or inactive is asked
// for, as it will start. Nothing secret of the domain is in it.
func (c *Conn) XML(ctx context.Context, uuid string, inactive bool) ([]byte, error) {
	var flags rpc.DomainXMLFlags
	if inactive {
		flags = rpc.DomainXMLInactive
	}
	text, err := on(ctx, c, uuid, func(d rpc.Domain) (string, error) { return c.rpc.DomainGetXMLDesc(d, flags) })
	return []byte(text), err
}

// Rewrite gives a domain another definition, for its next start: what edit makes of
// the one that it has, with all that is secret in it.
func (c *Conn) Rewrite(ctx context.Context, uuid string, edit func(text []byte) ([]byte, error)) error {
	const whole = rpc.DomainXMLInactive | rpc.DomainXMLSecure
	was, err := on(ctx, c, uuid, func(d rpc.Domain) (string, error) { return c.rpc.DomainGetXMLDesc(d, whole) })
	if err != nil {
		return err
	}
	text, err := edit([]byte(was))
	if err != nil || string(text) == was {
		return err
	}
	if _, err := call(ctx, c, func() (rpc.Domain, error) { return c.rpc.DomainDefineXML(string(text)) }); err != nil {
		return fmt.Errorf("domain %s: define it anew: %w", clip(uuid), err)
	}
	return nil
}

// Active says whether a domain runs, paused or not.
func (c *Conn) Active(ctx context.Context, uuid string) (bool, error) {
	active, err := on(ctx, c, uuid, c.rpc.DomainIsActive)
	return active != 0, err
}

// affect says what a change is made to: the running domain, the definition, or both.
// Neither means what the domain is now, as with virsh --current.
func affect(live, config bool) rpc.DomainModificationImpact {
	flags := rpc.DomainAffectCurrent
	if live {
		flags |= rpc.DomainAffectLive
	}
	if config {
		flags |= rpc.DomainAffectConfig
	}
	return flags
}

// AttachDevice adds a device. The socket of an rng must be there when it is added to
// a running domain, reconnect or not.
func (c *Conn) AttachDevice(ctx context.Context, uuid, device string, live, config bool) error {
	_, err := on(ctx, c, uuid, func(d rpc.Domain) (struct{}, error) {
		return struct{}{}, c.rpc.DomainAttachDeviceFlags(d, device, uint32(affect(live, config)))
	})
	return err
}

// DetachDevice takes a device out. A running guest has a say in it: the device is gone
// when libvirt's XML does not have it any more, not before.
func (c *Conn) DetachDevice(ctx context.Context, uuid, device string, live, config bool) error {
	_, err := on(ctx, c, uuid, func(d rpc.Domain) (struct{}, error) {
		return struct{}{}, c.rpc.DomainDetachDeviceFlags(d, device, uint32(affect(live, config)))
	})
	return err
}

// SetPolicy puts a policy (PolicyXML) in the place of the one that a domain has;
// empty: takes it out.
func (c *Conn) SetPolicy(ctx context.Context, uuid, policy string, live, config bool) error {
	var metadata rpc.OptString
	if policy != "" {
		text, err := unprefixed(policy)
		if err != nil {
			return fmt.Errorf("domain %s: %w", clip(uuid), err)
		}
		metadata = rpc.OptString{text}
	}
	_, err := on(ctx, c, uuid, func(d rpc.Domain) (struct{}, error) {
		return struct{}{}, c.rpc.DomainSetMetadata(d, int32(rpc.DomainMetadataElement), metadata,
			rpc.OptString{"headgate"}, rpc.OptString{PolicyNamespace}, affect(live, config))
	})
	return err
}
