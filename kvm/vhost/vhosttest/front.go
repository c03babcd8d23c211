package vhosttest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Where the memory of a Front is, in the guest and in the front end: far from each
// other, so that one is not taken for the other.
const (
	GuestBase = 0x4000_0000
	UserBase  = 0x7f12_3400_0000
)

const pageSize = 4096

// Options of a Front.
type Options struct {
	QueueSize uint16 // 0: 4, as QEMU's is
	Memory    int    // bytes; 0: what the rings take, and room for Data bytes
	Data      int    // bytes for buffers; 0: 64 KiB
	EventIdx  bool   // agree on VIRTIO_F_EVENT_IDX, offered or not
	Indirect  bool   // and on VIRTIO_F_INDIRECT_DESC
	First     uint16 // the index at which the rings begin
	// Ack has every message that has no answer of its own ask for one, where the
	// device knows REPLY_ACK. QEMU 7.2 does that with SET_MEM_TABLE alone.
	Ack bool
}

// Front is a vhost-user front end with one queue, and the driver behind it.
type Front struct {
	Ring
	Data uint64 // where in the memory the buffers begin

	opt      Options
	kick     int      // eventfd
	failed   int      // eventfd of SET_VRING_ERR
	masked   int      // eventfd that is called until the ring has been started
	callFD   int      // eventfd
	call     *os.File // that, on the poller
	base     uint16   // of the next start, if the ring was stopped
	stopped  bool     // by Stop; else the next start is at the used index
	known    bool     // the device has been set up once
	acks     bool     // REPLY_ACK was agreed on
	offered  uint64
	waiting  context.Context // whose end Used obeys
	unwait   func() bool
	ended    chan struct{} // closed when the end of waiting has been obeyed
	listener *net.UnixListener

	mu     sync.Mutex
	conn   Conn
	answer chan Message  // what the device says; nil: not connected
	gone   chan struct{} // closed when the device has hung up
	closed bool
}

// New makes a front that is not connected.
func New(opt Options) (*Front, error) {
	if opt.QueueSize == 0 {
		opt.QueueSize = 4
	}
	if opt.Data == 0 {
		opt.Data = 64 << 10
	}
	n := uint64(opt.QueueSize)
	f := &Front{opt: opt, kick: -1, failed: -1, masked: -1}
	f.Ring = Ring{Size: opt.QueueSize, EventIdx: opt.EventIdx}
	f.Avail = descSize * n
	f.Ring.Used = align(f.Avail+6+2*n, pageSize)
	f.Data = align(f.Ring.Used+6+usedElemSize*n, pageSize)
	if opt.Memory == 0 {
		opt.Memory = int(align(f.Data+uint64(opt.Data), pageSize))
	}
	if uint64(opt.Memory) <= f.Data || opt.Memory%pageSize != 0 {
		return nil, fmt.Errorf("%d bytes of memory are no room for a queue of %d: use whole pages, more than %d bytes", opt.Memory, n, f.Data)
	}
	var err error
	if f.Memory, err = NewMemory(opt.Memory); err != nil {
		return nil, err
	}
	if err := f.events(); err != nil {
		f.Close()
		return nil, err
	}
	f.Reset(opt.First)
	return f, nil
}

func align(v, to uint64) uint64 { return (v + to - 1) / to * to }

func (f *Front) events() error {
	for _, fd := range []*int{&f.kick, &f.failed, &f.masked, &f.callFD} {
		var err error
		if *fd, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
			return fmt.Errorf("make an eventfd: %w", err)
		}
	}
	f.call = os.NewFile(uintptr(f.callFD), "call") // on the poller, as it does not block
	return nil
}

// Reset is what a guest's driver does with a device that it begins with anew.
func (f *Front) Reset(first uint16) {
	f.Ring.Reset(first)
	f.base, f.stopped = first, true
}

// Dial connects to a device that listens.
func (f *Front) Dial(ctx context.Context, path string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return err
	}
	return f.Use(Conn{conn.(*net.UnixConn)})
}

// Listen waits at a path for a device to dial, as QEMU does with server=on.
func (f *Front) Listen(path string) error {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.listener = l
	return nil
}

// Accept takes the device that dials next.
func (f *Front) Accept(ctx context.Context) error {
	_ = f.listener.SetDeadline(time.Time{})
	defer context.AfterFunc(ctx, func() { _ = f.listener.SetDeadline(past) })()
	conn, err := f.listener.AcceptUnix()
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
	return f.Use(Conn{conn})
}

// Use takes a connection to a device. The one before is closed.
func (f *Front) Use(conn Conn) error {
	f.HangUp()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		conn.Close()
		return net.ErrClosed
	}
	answer, gone := make(chan Message, 64), make(chan struct{})
	f.conn, f.answer, f.gone = conn, answer, gone
	go func() {
		defer close(gone)
		defer close(answer)
		for {
			m, err := conn.Recv()
			if err != nil {
				return
			}
			select {
			case answer <- m:
			default: // the device says what nobody asked for
				return
			}
		}
	}()
	return nil
}

// HangUp closes the connection, as when QEMU dies. The guest notices nothing.
func (f *Front) HangUp() {
	f.mu.Lock()
	conn, gone := f.conn, f.gone
	f.mu.Unlock()
	if conn.UnixConn != nil {
		conn.Close()
		<-gone
	}
}

// Gone is closed when the connection has ended.
func (f *Front) Gone() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.gone
}

// Serve keeps the device going until ctx is done: at a path it takes whoever dials,
// one after another, and starts the ring anew with each, as QEMU does; a device that
// listens is started once, and an error says that it has hung up.
func (f *Front) Serve(ctx context.Context) error {
	defer f.HangUp()
	for {
		if f.listener != nil {
			if err := f.Accept(ctx); err != nil {
				return cause(ctx, err)
			}
		}
		err := f.Start(ctx)
		if err == nil {
			select {
			case <-f.Gone():
				err = errors.New("the device has hung up")
			case <-ctx.Done():
				return nil
			}
		}
		if f.listener == nil || ctx.Err() != nil {
			return cause(ctx, err)
		}
	}
}

func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// Close gives back all that the front has. Serve and Used must have ended.
func (f *Front) Close() {
	f.mu.Lock()
	again := f.closed
	f.closed = true
	if f.listener != nil {
		f.listener.Close()
	}
	f.mu.Unlock()
	if again {
		return
	}
	f.HangUp()
	if f.unwait != nil {
		f.unwait()
	}
	for _, fd := range []int{f.kick, f.failed, f.masked} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	if f.call != nil {
		f.call.Close()
	}
	f.Memory.Close()
}
