package xen

import (
	"context"
	"slices"
	"sync"

	"headgate/xen/xenstore"
)

// session is a connection of the Follower's, and what it has told over it.
type session struct {
	reader
	sink       Sink
	bells      *bells
	generation *uint64
	known      map[uint16]*follow // the domains that are there
	told       bool               // of all of them
	hints      chan hint
	over       chan struct{} // closed at its end
	tasks      sync.WaitGroup
}

// follow is a domain that is followed.
type follow struct {
	id         uint16
	name, ring *xenstore.Watch // listen's
	gone       chan struct{}   // closed when the domain is not followed any more

	Domain // as it was last seen
}

// hint says that a domain may not be any more as it was last seen.
type hint struct {
	*follow
	ring bool // what it offers alone
}

// run follows until the connection or ctx ends. It calls connected before it tells of
// the first domains.
func (s *session) run(ctx context.Context, connected func()) error {
	var watches [3]*xenstore.Watch
	for i, path := range []string{"@introduceDomain", "@releaseDomain", PolicyPath} {
		w, err := s.conn.Watch(path)
		if err != nil {
			return err
		}
		watches[i] = w
	}
	if err := s.list(); err != nil {
		return err
	}
	connected()
	s.sink.All(s.all())
	s.told = true
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-s.conn.Done():
			return s.conn.Err()
		case <-watches[0].C:
			err = s.list()
		case <-watches[1].C:
			err = s.list()
		case <-watches[2].C:
			err = s.policies()
		case h := <-s.hints:
			err = s.look(h)
		case <-s.bells.C():
			s.rings()
		}
		if err != nil {
			return err
		}
	}
}

// close ends the session and waits for what it started. The watches go with the
// connection.
func (s *session) close() {
	s.conn.Close()
	close(s.over)
	s.tasks.Wait()
}

func (s *session) all() []Domain {
	all := make([]Domain, 0, len(s.known))
	for _, f := range s.known {
		all = append(all, f.Domain)
	}
	slices.SortFunc(all, func(a, b Domain) int { return int(a.ID) - int(b.ID) })
	return all
}

// list compares the domains that there are with those that are known.
func (s *session) list() error {
	ids, err := s.ids()
	if err != nil {
		return err
	}
	there := make(map[uint16]bool, len(ids))
	for _, id := range ids {
		there[id] = true
	}
	for id := range s.known { // first: what they hold is others' to have
		if !there[id] {
			s.drop(id)
		}
	}
	for _, id := range ids {
		var err error
		if f := s.known[id]; f == nil {
			err = s.add(id)
		} else if f.UUID == "" { // it was seen before the toolstack had written all
			err = s.look(hint{follow: f})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// add follows a domain.
func (s *session) add(id uint16) error {
	f := &follow{id: id, gone: make(chan struct{})}
	var err error
	if f.name, err = s.conn.Watch(place(id) + "/name"); err != nil {
		return err
	}
	if f.ring, err = s.conn.Watch(ringPath(id)); err != nil {
		return err
	}
	// After the watches, so that what changes from now on is a signal.
	d, there, err := s.domain(id)
	if err != nil {
		return err
	}
	s.tasks.Go(func() { s.listen(f) })
	if !there {
		close(f.gone)
		return nil
	}
	s.known[id] = f
	s.become(f, d)
	return nil
}

func (s *session) drop(id uint16) {
	close(s.known[id].gone)
	delete(s.known, id)
	if s.told {
		s.sink.Down(id)
	}
}

// look reads again what a hint is about.
func (s *session) look(h hint) error {
	f := h.follow
	if s.known[f.id] != f {
		return nil // it has gone meanwhile
	}
	d := f.Domain
	var err error
	if h.ring && d.UUID != "" && d.Name != "" {
		d.Offer, err = s.offer(f.id)
	} else {
		var there bool
		if d, there, err = s.domain(f.id); err == nil && !there {
			s.drop(f.id)
			return nil
		}
	}
	if err != nil {
		return err
	}
	if f.UUID != "" && d.UUID != f.UUID && s.told {
		s.sink.Down(f.id)
		f.Domain = Domain{}
	}
	s.become(f, d)
	return nil
}

// policies reads again what domain 0 has written for the domains.
func (s *session) policies() error {
	for _, f := range s.known {
		d := f.Domain
		var err error
		if d.Policy, err = s.policy(d.UUID); err != nil {
			if err = s.hard(err); err != nil {
				return err
			}
			continue // it has changed again, which the watch tells
		}
		if !d.Policy.equal(f.Policy) {
			f.Domain = d
			s.sink.Up(d)
		}
	}
	return nil
}

// become notes what a domain is now, and tells if that is another than before. What it
// offers is, if it offers something: it has been written anew.
func (s *session) become(f *follow, d Domain) {
	if d.Offer != nil {
		*s.generation++
		d.Offer.Generation = *s.generation
	}
	was := f.Domain
	f.Domain = d
	same := was.ID == d.ID && was.UUID == d.UUID && was.Name == d.Name &&
		was.Offer == nil && d.Offer == nil && was.Policy.equal(d.Policy)
	if s.told && !same {
		s.sink.Up(d)
	}
}

func (p *Policy) equal(q *Policy) bool {
	if p == nil || q == nil {
		return p == q
	}
	return p.Class == q.Class && p.Rate == q.Rate && p.Weight == q.Weight && slices.Equal(p.Unknown, q.Unknown)
}
