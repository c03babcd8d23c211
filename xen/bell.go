package xen

import (
	"errors"
	"strconv"
	"sync"
	"time"

	"headgate/xen/xenstore"
)

// bells are the domains whose guestd is to open a session. The zero value is ready.
type bells struct {
	mu    sync.Mutex
	due   map[uint16]bool
	rung  chan struct{} // has a token if one is due
	ready sync.Once
}

// C has a signal when a domain is due.
func (b *bells) C() chan struct{} {
	b.ready.Do(func() { b.rung = make(chan struct{}, 1) })
	return b.rung
}

func (b *bells) ring(id uint16) {
	b.mu.Lock()
	if b.due == nil {
		b.due = map[uint16]bool{}
	}
	b.due[id] = true
	b.mu.Unlock()
	select {
	case b.C() <- struct{}{}:
	default:
	}
}

// take gives those that are due, each once.
func (b *bells) take() (due []uint16) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id := range b.due {
		due = append(due, id)
	}
	clear(b.due)
	return due
}

// Bell has guestd of a domain open a session, if it runs there. It never blocks. While
// xenstored is away it waits.
func (f *Follower) Bell(id uint16) { f.bells.ring(id) }

// ringTries is how often one bell is written against a guest that writes there, too:
// one that does so without end holds up the others for some 30 ms, and is not rung for.
const ringTries = 8

var errBusy = errors.New("the domain writes its own bell")

// rings writes the bells that are due. A domain that has gone has none: in a
// transaction, so that nothing is made where it was.
func (s *session) rings() {
	for _, id := range s.bells.take() {
		tries := 0
		err := s.conn.Update(func(tx *xenstore.Tx) error {
			if tries++; tries > ringTries {
				return errBusy
			}
			if _, err := tx.Read(place(id) + "/domid"); err != nil {
				return err
			}
			return tx.Write(place(id)+"/"+BellPath, strconv.FormatInt(time.Now().UnixNano(), 36))
		})
		// For the next connection. A write may find no memory because its domain has used
		// up its own, which is that one's matter.
		if err != nil && s.conn.Err() != nil {
			s.bells.ring(id)
		}
	}
}
