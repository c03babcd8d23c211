//go:build linux

package vchan

import (
	"headgate/xen/evtchn"
	"headgate/xen/grant"
	"headgate/xen/xenstore"
)

// shared is what a Conn has of the kernel.
type shared struct {
	bell doorbell
	page *grant.Pages
	own  *grant.Pages // of the rings that are not in the page; may be nil

	store *xenstore.Conn // a server's: where its nodes are
	path  string
	offer Offer
}

// close gives everything back: first what others find, then the pages, whose unmap
// tells the peer, and the port, through which it tells, last.
func (s *shared) close() (first error) {
	keep := func(err error) {
		if first == nil {
			first = err
		}
	}
	if s.store != nil {
		keep(withdraw(s.store, s.path, s.offer))
	}
	for _, pages := range [...]*grant.Pages{s.page, s.own} {
		if pages != nil {
			keep(pages.Close())
		}
	}
	if s.bell.events != nil {
		keep(s.bell.close())
	}
	if first != nil {
		return failed("vchan: close", first)
	}
	return nil
}

// conn makes the Conn, once the page is filled in and the port is bound.
func (s *shared) conn(r role, l layout) (*Conn, error) {
	var own []byte
	if s.own != nil {
		own = s.own.Bytes()
	}
	left, right := l.buffers(s.page.Bytes(), own)
	in, out := left, right
	if r.own == clientUp {
		in, out = right, left
	}
	return newConn(r, pageOf(s.page.Bytes()), in, out, &s.bell, s.close)
}

// Listen offers a vchan to a domain and returns at once; its Read waits for the
// client. A client that has gone does not come back to this offer: close it, and
// make another.
func Listen(store *xenstore.Conn, c Config) (*Conn, error) {
	s := new(shared)
	conn, err := s.listen(store, c)
	if err != nil {
		_ = s.close()
		return nil, failed("vchan: listen at "+c.Path, err)
	}
	return conn, nil
}

func (s *shared) listen(store *xenstore.Conn, c Config) (conn *Conn, err error) {
	l, err := chooseLayout(c.Read, c.Write)
	if err != nil {
		return nil, err
	}
	if s.page, err = grant.Share(c.Domain, 1); err != nil {
		return nil, err
	}
	var refs []grant.Ref
	if n := pagesOf(l.left) + pagesOf(l.right); n > 0 {
		if s.own, err = grant.Share(c.Domain, n); err != nil {
			return nil, err
		}
		refs = s.own.Refs()
	}
	if s.bell.events, err = evtchn.Open(); err != nil {
		return nil, err
	}
	if s.bell.port, err = s.bell.events.BindUnbound(c.Domain); err != nil {
		return nil, err
	}
	page := pageOf(s.page.Bytes())
	page.offer(l, refs)
	if err := s.page.NotifyOnUnmap(atServerUp, s.bell.port); err != nil {
		return nil, err
	}
	if conn, err = s.conn(serverRole, l); err != nil {
		return nil, err
	}
	s.offer = Offer{s.page.Refs()[0], s.bell.port}
	if err := publish(store, c, s.offer); err != nil {
		return nil, err
	}
	s.store, s.path = store, c.Path
	return conn, nil
}

// Dial connects to the server whose nodes are at c.Path. The error is
// fs.ErrNotExist where there is none.
func Dial(store *xenstore.Conn, c Config) (*Conn, error) {
	o, err := ReadOffer(store, c.Path)
	if err != nil {
		return nil, failed("vchan: dial "+c.Path, err)
	}
	return Connect(c.Domain, o)
}

// Connect is Dial for who has read the offer already.
func Connect(domain uint16, o Offer) (*Conn, error) {
	s := new(shared)
	conn, err := s.connect(domain, o)
	if err != nil {
		_ = s.close()
		return nil, failed("vchan: connect", err)
	}
	return conn, nil
}

func (s *shared) connect(domain uint16, o Offer) (conn *Conn, err error) {
	if s.page, err = grant.Map(domain, []grant.Ref{o.Ref}); err != nil {
		return nil, err
	}
	page := pageOf(s.page.Bytes())
	if page.flags()&serverUp == liveGone {
		return nil, errDeserted
	}
	l, refs, err := page.accept()
	if err != nil {
		return nil, err
	}
	if len(refs) > 0 {
		if s.own, err = grant.Map(domain, refs); err != nil {
			return nil, err
		}
	}
	if s.bell.events, err = evtchn.Open(); err != nil {
		return nil, err
	}
	if s.bell.port, err = s.bell.events.BindInterdomain(domain, o.Port); err != nil {
		return nil, err
	}
	if conn, err = s.conn(clientRole, l); err != nil {
		return nil, err
	}
	if err := s.page.NotifyOnUnmap(atClientUp, s.bell.port); err != nil {
		return nil, err
	}
	page.arrive()
	return conn, s.bell.ring()
}
