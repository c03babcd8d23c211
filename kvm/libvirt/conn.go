package libvirt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	rpc "github.com/digitalocean/go-libvirt"
)

// Sockets are the places where a libvirt that runs QEMU has its socket: the daemon
// for QEMU alone, then the one for everything. The read-only socket suffices to
// list and to follow domains and is open to every user.
func Sockets(readonly bool) []string {
	if readonly {
		return []string{"/run/libvirt/virtqemud-sock-ro", "/run/libvirt/libvirt-sock-ro"}
	}
	return []string{"/run/libvirt/virtqemud-sock", "/run/libvirt/libvirt-sock"}
}

// farewell is how long Close waits for libvirtd to take note. One that sees a
// connection break logs an error.
const farewell = 500 * time.Millisecond

// Conn is a connection to a libvirtd. Its calls may run at the same time. One whose
// context ends, ends the connection with it, because a request cannot be taken back.
type Conn struct {
	rpc     *rpc.Libvirt
	socket  string
	version string
	net     net.Conn

	once    sync.Once
	cause   error         // why it is over; to be read after over is closed
	over    chan struct{} // closed when nothing more can come
	closing atomic.Bool

	quit          context.CancelFunc // ends the subscriptions; only after over
	subscriptions context.Context
	takers        sync.WaitGroup
}

// Dial connects to the unix socket of a libvirtd.
func Dial(ctx context.Context, socket string) (*Conn, error) {
	dialer := net.Dialer{}
	raw, err := dialer.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, dialError(socket, err)
	}
	c := &Conn{socket: socket, net: raw, over: make(chan struct{})}
	c.subscriptions, c.quit = context.WithCancel(context.Background())
	framed := newFrames(raw, c.ended)
	c.rpc = rpc.NewWithDialer(dialed{framed})
	if err := c.greet(ctx, framed.connected); err != nil {
		c.end()
		return nil, fmt.Errorf("connect to %s: %w", socket, err)
	}
	return c, nil
}

// DialFirst connects to the first of the sockets at which a libvirtd is.
func DialFirst(ctx context.Context, sockets []string) (*Conn, error) {
	var telling error
	for _, socket := range sockets {
		c, err := Dial(ctx, socket)
		if err == nil {
			return c, nil
		}
		if telling == nil && !errors.Is(err, fs.ErrNotExist) {
			telling = err
		}
	}
	if telling == nil {
		telling = dialError(strings.Join(sockets, " or "), syscall.ENOENT)
	}
	return nil, telling
}

// dialed hands the library a connection of ours: it has no deadlines of its own, and
// to close what is under it is the one way out of its calls.
type dialed struct{ conn net.Conn }

func (d dialed) Dial() (net.Conn, error) { return d.conn, nil }

func (c *Conn) greet(ctx context.Context, connected func()) error {
	err := c.do(ctx, func() error {
		defer connected()
		return c.rpc.ConnectToURI(rpc.QEMUSystem)
	})
	if err != nil {
		return err
	}
	v, err := call(ctx, c, c.rpc.ConnectGetLibVersion)
	if err != nil {
		return err
	}
	// virConnectGetLibVersion, libvirt-host.c.
	c.version = fmt.Sprintf("%d.%d.%d", v/1000000, v/1000%1000, v%1000)
	return nil
}

// call runs one request and ends with ctx at the latest.
func call[T any](ctx context.Context, c *Conn, request func() (T, error)) (T, error) {
	var none T
	stop := context.AfterFunc(ctx, func() {
		err := context.Cause(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			err = errHangs
		}
		c.fail(err)
	})
	defer stop()
	value, err := request()
	if err == nil {
		return value, nil
	}
	if refused := refusal(err); refused != nil {
		return none, refused
	}
	// Nothing that comes after a broken frame or a broken connection is of use.
	c.fail(lost(err))
	<-c.over
	return none, c.cause
}

// do is call for a request that has no answer.
func (c *Conn) do(ctx context.Context, request func() error) error {
	_, err := call(ctx, c, func() (struct{}, error) { return struct{}{}, request() })
	return err
}

// ended is called when nothing more can come.
func (c *Conn) ended(why error) {
	if c.closing.Load() {
		c.fail(ErrClosed)
	}
	c.fail(lost(why))
	close(c.over)
}

// fail closes what is under the connection; the first cause is kept.
func (c *Conn) fail(cause error) {
	c.once.Do(func() {
		c.cause = cause
		c.net.Close()
	})
}

// Close ends the connection, and what it started has ended when it returns.
func (c *Conn) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	c.closing.Store(true)
	err := c.do(ctx, c.rpc.ConnectClose)
	c.end()
	return err
}

// end waits until nothing more comes, and only then ends the subscriptions: the
// library blocks for ever on an event for one that has just ended.
func (c *Conn) end() {
	c.fail(ErrClosed)
	<-c.over
	c.quit()
	c.takers.Wait()
}

// Socket is where it is connected to.
func (c *Conn) Socket() string { return c.socket }

// Version is that of the libvirtd at the other end, if it still is.
func (c *Conn) Version() (string, error) {
	select {
	case <-c.over:
		return "", c.cause
	default:
		return c.version, nil
	}
}

// alive asks for something that no domain can hold up. A refusal is an answer, too.
func (c *Conn) alive(ctx context.Context) error {
	_, err := call(ctx, c, c.rpc.ConnectGetLibVersion)
	if errors.As(err, new(errRefused)) {
		return nil
	}
	return err
}

// subscribe has take called for each event of a kind, one after another, until the
// connection is over.
func (c *Conn) subscribe(ctx context.Context, kind rpc.DomainEventID, take func(event any)) error {
	events, err := call(ctx, c, func() (<-chan any, error) {
		return c.rpc.SubscribeEvents(c.subscriptions, kind, nil)
	})
	if err != nil {
		return err
	}
	c.takers.Go(func() {
		for event := range events {
			take(event)
		}
	})
	return nil
}
