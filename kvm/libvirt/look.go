package libvirt

import (
	"context"
	"errors"
	"time"

	rpc "github.com/digitalocean/go-libvirt"
)

// lookers is how many domains are looked at at once. libvirtd keeps an answer back
// while that domain starts, and the others are not to wait for it; more than
// max_client_requests (5 in libvirtd.conf) it does not read.
const lookers = 4

// looker finds out, over one connection, how the domains are that there are hints of.
type looker struct {
	conn     *Conn
	hints    *hints
	sink     Sink
	patience time.Duration
	seen     chan sight
}

// sight is what libvirt says of one domain.
type sight struct {
	uuid   rpc.UUID
	domain Domain // Active, if it has an ID
	asOf   time.Time
	err    error
}

// run looks until the connection or ctx ends.
func (l *looker) run(ctx context.Context) error {
	busy := map[rpc.UUID]hint{}
	defer func() {
		if len(busy) > 0 {
			l.conn.fail(ErrClosed) // ends those that are still asking
		}
		for range len(busy) {
			l.put(<-l.seen, busy)
		}
	}()
	for {
		if l.hints.overflow() {
			if len(busy) == 0 {
				active, asOf, err := l.list(ctx)
				if err != nil {
					return err
				}
				l.sink.All(active, asOf)
				continue
			}
		} else {
			for uuid, n := range l.hints.take(lookers-len(busy), busy) {
				busy[uuid] = n
				go func() { l.seen <- l.look(ctx, uuid) }()
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-l.conn.over:
			return l.conn.cause
		case <-l.hints.some:
		case s := <-l.seen:
			if s.err != nil {
				l.put(s, busy)
				return s.err
			}
			n := busy[s.uuid]
			delete(busy, s.uuid)
			l.tell(s, n)
		}
	}
}

// put takes back a hint that could not be followed up.
func (l *looker) put(s sight, busy map[rpc.UUID]hint) {
	l.hints.add(s.uuid, busy[s.uuid])
	delete(busy, s.uuid)
}

func (l *looker) tell(s sight, n hint) {
	if s.domain.ID > 0 {
		l.sink.Up(s.domain, n.fresh, s.asOf)
		return
	}
	name := s.domain.Name
	if name == "" {
		name = n.name
	}
	l.sink.Down(textOf(s.uuid), name, s.asOf)
}

// within runs a request that may take so long and no longer.
func (l *looker) within(ctx context.Context, request func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, l.patience)
	defer cancel()
	return request(ctx)
}

// look asks for one domain. Whether it runs, libvirt says in its live XML, so that
// both are of the same moment. One that libvirt says nothing of does not run; one
// whose XML cannot be had or read has no device of ours.
func (l *looker) look(ctx context.Context, uuid rpc.UUID) sight {
	s := sight{uuid: uuid, asOf: time.Now()}
	s.err = l.within(ctx, func(ctx context.Context) error {
		d, err := call(ctx, l.conn, func() (rpc.Domain, error) { return l.conn.rpc.DomainLookupByUUID(uuid) })
		if err != nil {
			return err
		}
		text, err := call(ctx, l.conn, func() (string, error) { return l.conn.rpc.DomainGetXMLDesc(d, 0) })
		if errors.As(err, new(errRefused)) {
			text, err = "", nil
		}
		if err != nil {
			return err
		}
		if s.domain, err = ParseDomain([]byte(text)); err != nil {
			s.domain = Domain{Name: d.Name, ID: int(max(d.ID, 0))}
		}
		s.domain.UUID = textOf(uuid)
		return nil
	})
	if errors.Is(s.err, ErrNoDomain) || errors.As(s.err, new(errRefused)) {
		s.err = nil
	}
	return s
}

// list asks for all that are active.
func (l *looker) list(ctx context.Context) ([]Domain, time.Time, error) {
	l.hints.relist()
	asOf := time.Now()
	var listed []rpc.Domain
	if err := l.within(ctx, func(ctx context.Context) (err error) {
		listed, err = l.conn.list(ctx, rpc.ConnectListDomainsActive)
		return err
	}); err != nil {
		return nil, asOf, err
	}
	active := make([]Domain, 0, len(listed))
	for _, d := range listed {
		s := l.look(ctx, d.UUID)
		if s.err != nil {
			return nil, asOf, s.err
		}
		if s.domain.ID > 0 {
			active = append(active, s.domain)
		}
	}
	return active, asOf, nil
}
