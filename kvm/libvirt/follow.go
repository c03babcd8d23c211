package libvirt

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"sync"
	"time"

	rpc "github.com/digitalocean/go-libvirt"
)

// Sink is told of libvirt's domains, by one goroutine but for Resumed. AsOf is a
// moment before libvirt was asked: what was done to a domain after it may not be in
// the answer.
type Sink interface {
	// Resumed tells at once, before libvirt is asked for more, that the domain goes on
	// in the QEMU that it has, or is paused and will, and that it may be from an
	// earlier state: of a loadvm by QEMU's monitor no event says more than that.
	// Fresh: it was rebooted, or put back to an earlier state, libvirt says. It comes
	// from another goroutine, for domains that nobody asked for too, and must not wait.
	Resumed(uuid string, fresh bool)
	// Up tells that the domain is active.
	Up(d Domain, asOf time.Time)
	// Down tells that it is not, whether or not there is such a domain. The name is
	// empty where it is not known.
	Down(uuid, name string, asOf time.Time)
	// All tells of all that are active, after every connect. Unknown are the UUIDs of
	// those that are, and of which libvirt does not say more yet.
	All(active []Domain, unknown []string, asOf time.Time)
	// Held tells once that libvirt has not answered about a domain for long, as while
	// a hook of it hangs. What becomes of it is told when libvirt does.
	Held(uuid, name string)
	// Connected comes right before the first All of a connection.
	Connected(socket, version string)
	// Lost tells once why there is no connection, and again when the reason has changed.
	Lost(err error)
}

// Follower keeps a Sink informed of the domains of a libvirtd, for as long as it runs
// and through all restarts of libvirtd.
type Follower struct {
	Socket string // of libvirtd; "": the first of Sockets(true)
	Sink   Sink

	once  sync.Once
	hints *hints

	patience time.Duration // for one request; 0: patience
	again    time.Duration // before one that could not be read is looked at again; 0: minAgain
	told     string        // the reason that the sink has; "": it is connected
	reason   string        // the last one that there was
}

const (
	// patience is how long libvirtd may take for one answer. It holds answers back
	// while a hook runs for the domain.
	patience = 10 * time.Second

	// Waits before the next try where there is a socket, and where there is none.
	minPause = 50 * time.Millisecond
	maxPause = 500 * time.Millisecond
	absence  = 2 * time.Second

	// Waits before a domain is looked at again that could not be read. Each time it
	// takes twice as long.
	minAgain = time.Second
	maxAgain = time.Minute
	maxTries = 16
)

func (f *Follower) init() {
	f.once.Do(func() { f.hints = newHints() })
}

// Look has a domain looked at soon, as if libvirt had told of it. It does not wait.
func (f *Follower) Look(uuid string) {
	f.init()
	if u, err := parseUUID(uuid); err == nil {
		f.hints.add(u, hint{})
	}
}

// Run follows until ctx is done, and nothing that it started is left then.
func (f *Follower) Run(ctx context.Context) error {
	f.init()
	sockets := []string{f.Socket}
	if f.Socket == "" {
		sockets = Sockets(true)
	}
	pause := minPause
	for {
		connected, err := f.session(ctx, sockets)
		if ctx.Err() != nil {
			return nil
		}
		if connected {
			pause = minPause
		}
		f.tell(err)
		if errors.Is(err, fs.ErrNotExist) {
			appears(ctx, sockets, absence)
			continue
		}
		wait(ctx, pause)
		pause = min(2*pause, maxPause)
	}
}

// tell tells of a loss once, and of another reason when it has come twice running: a
// libvirtd that starts has a socket for a moment before it listens.
func (f *Follower) tell(err error) {
	text := err.Error()
	if f.told == "" || text != f.told && text == f.reason {
		f.told = text
		f.Sink.Lost(err)
	}
	f.reason = text
}

func wait(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// session follows over one connection, until it or ctx ends; connected says whether
// it came to that.
func (f *Follower) session(ctx context.Context, sockets []string) (connected bool, err error) {
	conn, err := f.dial(ctx, sockets)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	l := &looker{
		conn: conn, hints: f.hints, sink: f.Sink, patience: f.requestPatience(), again: cmp.Or(f.again, minAgain),
		busy: map[rpc.UUID]asking{}, seen: make(chan sight, lookers),
	}
	defer l.close()
	f.hints.forget()
	for _, kind := range kinds {
		if err := l.within(ctx, func(ctx context.Context) error { return conn.subscribe(ctx, kind, f.event) }); err != nil {
			return false, err
		}
	}
	// What is told from now on waits as a hint and is looked at after the list.
	all, err := l.list(ctx)
	if err != nil {
		return false, err
	}
	f.told = ""
	f.Sink.Connected(conn.Socket(), conn.version)
	f.Sink.All(all.active, all.unknown, all.asOf)
	return true, l.run(ctx)
}

// event takes in one of libvirt's events.
func (f *Follower) event(event any) {
	n, known := f.hints.read(event)
	if !known {
		return
	}
	if n.resumed {
		f.Sink.Resumed(textOf(n.domain.UUID), n.fresh)
	}
	f.hints.add(n.domain.UUID, hint{name: n.domain.Name})
}

func (f *Follower) requestPatience() time.Duration { return cmp.Or(f.patience, patience) }

func (f *Follower) dial(ctx context.Context, sockets []string) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, f.requestPatience())
	defer cancel()
	return DialFirst(ctx, sockets)
}
