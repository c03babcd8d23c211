package libvirt

import (
	"context"
	"errors"
	"time"

	rpc "github.com/digitalocean/go-libvirt"
)

// sight is what libvirt says of one domain.
type sight struct {
	uuid    rpc.UUID
	domain  Domain // Active, if it has an ID
	asOf    time.Time
	unknown bool  // it is there, and what it is cannot be said
	err     error // of the connection
}

// errUnread is that a domain's XML makes no sense to us.
var errUnread = errors.New("the domain's XML cannot be read")

// look asks for one domain. Whether it runs, libvirt says in its live XML, so that
// both are of the same moment. That it is gone libvirt must say; any other refusal
// (out of memory or descriptors, a job's lock that was not had, polkit) says nothing
// of it.
func (l *looker) look(ctx context.Context, uuid rpc.UUID) sight {
	s := sight{uuid: uuid, asOf: time.Now()}
	found, err := call(ctx, l.conn, func() (rpc.Domain, error) { return l.conn.rpc.DomainLookupByUUID(uuid) })
	if err == nil {
		s.domain, err = l.read(ctx, found)
	}
	switch {
	case err == nil:
		s.domain.UUID = textOf(uuid)
	case errors.Is(err, ErrNoDomain):
		s.domain.Name = found.Name
	case errors.As(err, new(errRefused)), errors.Is(err, errUnread):
		// One that does not run has an ID of -1 when it is found, and need not be read.
		s.domain.Name, s.unknown = found.Name, found.ID >= 0
	default:
		s.err = err
	}
	return s
}

func (l *looker) read(ctx context.Context, d rpc.Domain) (Domain, error) {
	text, err := call(ctx, l.conn, func() (string, error) { return l.conn.rpc.DomainGetXMLDesc(d, 0) })
	if err != nil {
		return Domain{}, err
	}
	domain, err := ParseDomain([]byte(text))
	if err != nil {
		return Domain{}, errUnread
	}
	return domain, nil
}

// listing is what libvirt says of all domains that are active.
type listing struct {
	active  []Domain
	unknown []string // the UUIDs of those of which it says no more
	asOf    time.Time
}

// list asks for all that are active, and looks at each. What it cannot say of a
// domain, because that is unknown or held up, is told of when it can be.
func (l *looker) list(ctx context.Context) (listing, error) {
	l.hints.relist()
	out := listing{asOf: time.Now()}
	var listed []rpc.Domain
	if err := l.within(ctx, func(ctx context.Context) (err error) {
		listed, err = l.conn.list(ctx, rpc.ConnectListDomainsActive)
		return err
	}); err != nil {
		return out, err
	}
	open := make(map[rpc.UUID]bool, len(listed))
	for _, d := range listed {
		open[d.UUID] = true
	}
	for left := listed; len(left) > 0 || l.underWay() > 0; {
		for ; len(left) > 0 && len(l.busy) < lookers; left = left[1:] {
			d := left[0]
			if _, there := l.busy[d.UUID]; there { // held up since before the list
				l.hints.add(d.UUID, hint{name: d.Name})
				continue
			}
			l.begin(ctx, d.UUID, hint{name: d.Name})
		}
		s, n, err := l.next(ctx, time.Time{})
		switch {
		case err != nil:
			return out, err
		case s == nil:
		case s.unknown, s.asOf.Before(out.asOf):
			l.tell(*s, n)
		default:
			delete(open, s.uuid)
			if s.domain.ID > 0 {
				out.active = append(out.active, s.domain)
			}
		}
	}
	for _, d := range listed {
		if open[d.UUID] {
			out.unknown = append(out.unknown, textOf(d.UUID))
		}
	}
	return out, nil
}
