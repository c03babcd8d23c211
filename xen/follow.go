package xen

import (
	"context"
	"time"

	"headgate/xen/xenstore"
)

// Sink is told of Xen's domains. All calls come from one goroutine, in order, and must
// not block for long.
type Sink interface {
	// Up tells that a domain is there, or that something of it has changed.
	Up(d Domain)
	// Down tells that it is not. A number that is another domain's from now on is
	// first told to be down, then up.
	Down(id uint16)
	// All tells of all that there are, by their numbers, after every connect.
	All(domains []Domain)
	// Connected comes right before the first All of a connection. Where is the
	// socket or the device.
	Connected(where string)
	// Lost tells once why there is no connection, and again when the reason has
	// changed.
	Lost(err error)
}

// Follower keeps a Sink informed of the domains of a host, for as long as it runs and
// through all restarts of xenstored.
type Follower struct {
	// Open connects to xenstored and says where that is.
	Open func() (conn *xenstore.Conn, where string, err error)
	Sink Sink

	bells      bells
	generation uint64 // of offers
	told       string // the reason that the sink has; "": it is connected
	reason     string // the last one that there was
}

// Waits before the next try to connect. Each time it takes twice as long.
const (
	minPause = 50 * time.Millisecond
	maxPause = 2 * time.Second
)

// Run follows until ctx is done, and nothing that it started is left then.
func (f *Follower) Run(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		began := time.Now()
		err := f.session(ctx)
		if ctx.Err() != nil {
			return nil
		}
		f.tell(err)
		if time.Since(began) > maxPause {
			pause = minPause
		}
		timer.Reset(pause)
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
	}
}

// tell tells of a loss once, and of another reason when it has come twice running: a
// xenstored that starts has a socket for a moment before it listens.
func (f *Follower) tell(err error) {
	text := err.Error()
	if f.told == "" || text != f.told && text == f.reason {
		f.told = text
		f.Sink.Lost(err)
	}
	f.reason = text
}

// session follows over one connection, until it or ctx ends.
func (f *Follower) session(ctx context.Context) error {
	conn, where, err := f.Open()
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })() // wakes a request
	r, err := newReader(conn)
	if err != nil {
		return err
	}
	s := &session{
		reader:     r,
		sink:       f.Sink,
		bells:      &f.bells,
		generation: &f.generation,
		known:      map[uint16]*follow{},
		hints:      make(chan hint),
		over:       make(chan struct{}),
	}
	defer s.close()
	return s.run(ctx, func() {
		f.told = ""
		f.Sink.Connected(where)
	})
}
