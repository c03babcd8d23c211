package libvirt

import (
	"context"
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
	again    time.Duration // before one that was unknown is looked at once more
	busy     map[rpc.UUID]asking
	seen     chan sight
}

// asking is a look that is under way, or held up.
type asking struct {
	hint
	until time.Time // when it is held up; zero: it is
}

// run looks until the connection or ctx ends.
func (l *looker) run(ctx context.Context) error {
	for {
		due := time.Time{}
		if l.hints.overflow() {
			if l.underWay() == 0 {
				all, err := l.list(ctx)
				if err != nil {
					return err
				}
				l.sink.All(all.active, all.unknown, all.asOf)
				continue
			}
		} else {
			for uuid, n := range l.hints.take(lookers-len(l.busy), l.busy, time.Now()) {
				l.begin(ctx, uuid, n)
			}
			if len(l.busy) < lookers {
				due = l.hints.next(l.busy)
			}
		}
		s, n, err := l.next(ctx, due)
		if err != nil {
			return err
		}
		if s != nil {
			l.tell(*s, n)
		}
	}
}

// close ends the looks that are under way. They are hints again.
func (l *looker) close() {
	if len(l.busy) > 0 {
		l.conn.fail(ErrClosed)
	}
	for len(l.busy) > 0 {
		s := <-l.seen
		l.hints.add(s.uuid, l.end(s.uuid))
	}
}

func (l *looker) begin(ctx context.Context, uuid rpc.UUID, n hint) {
	l.busy[uuid] = asking{hint: n, until: time.Now().Add(l.patience)}
	go func() { l.seen <- l.look(ctx, uuid) }()
}

func (l *looker) end(uuid rpc.UUID) hint {
	n := l.busy[uuid].hint
	delete(l.busy, uuid)
	return n
}

// underWay is how many looks are not held up.
func (l *looker) underWay() int {
	n := 0
	for _, a := range l.busy {
		if !a.until.IsZero() {
			n++
		}
	}
	return n
}

// next waits for a look's end, or until there may be something else to do: at due,
// if that is not zero, and when there is a hint.
func (l *looker) next(ctx context.Context, due time.Time) (*sight, hint, error) {
	for _, a := range l.busy {
		if due.IsZero() || !a.until.IsZero() && a.until.Before(due) {
			due = a.until
		}
	}
	var alarm <-chan time.Time
	if !due.IsZero() {
		timer := time.NewTimer(time.Until(due))
		defer timer.Stop()
		alarm = timer.C
	}
	select {
	case <-ctx.Done():
		return nil, hint{}, ctx.Err()
	case <-l.conn.over:
		return nil, hint{}, l.conn.cause
	case <-l.hints.some:
		return nil, hint{}, nil
	case <-alarm:
		return nil, hint{}, l.hold(ctx)
	case s := <-l.seen:
		n := l.end(s.uuid)
		if s.err != nil {
			l.hints.add(s.uuid, n)
		}
		return &s, n, s.err
	}
}

// hold leaves looks alone whose patience has ended: one domain may be held up for
// long, by its lock, while a hook runs, and a new connection would not get at it
// either. Where libvirtd answers nothing else, or all lookers are held up, the
// connection is of no use.
func (l *looker) hold(ctx context.Context) error {
	var late []rpc.UUID
	for uuid, a := range l.busy {
		if !a.until.IsZero() && !a.until.After(time.Now()) {
			late = append(late, uuid)
		}
	}
	if len(late) == 0 {
		return nil
	}
	if len(late)+len(l.busy)-l.underWay() == lookers {
		return errHangs
	}
	if err := l.within(ctx, l.conn.alive); err != nil {
		return err
	}
	for _, uuid := range late {
		n := l.busy[uuid].hint
		l.busy[uuid] = asking{hint: n}
		l.sink.Held(textOf(uuid), n.name)
	}
	return nil
}

// tell tells of what was seen. What was not to be seen is looked at again, at ever
// longer intervals.
func (l *looker) tell(s sight, n hint) {
	name := s.domain.Name
	if name == "" {
		name = n.name
	}
	switch {
	case s.unknown:
		pause := min(l.again<<n.tries, maxAgain)
		l.hints.add(s.uuid, hint{name: name, tries: min(n.tries+1, maxTries), due: time.Now().Add(pause)})
	case s.domain.ID > 0:
		l.sink.Up(s.domain, s.asOf)
	default:
		l.sink.Down(textOf(s.uuid), name, s.asOf)
	}
}

// within runs a request that may take so long and no longer.
func (l *looker) within(ctx context.Context, request func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, l.patience)
	defer cancel()
	return request(ctx)
}
