package backends

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

var errHeld = errors.New("the device still holds the last read: it is stuck")

// device opens a character device, time after time. At most one reader of it can
// be left behind in a read that never returns.
type device struct {
	last *detached
}

// open returns the file itself where the poller of the runtime can wait for it,
// and otherwise a detached reader.
func (d *device) open(path string) (io.ReadCloser, error) {
	if d.last != nil && d.last.reading.Load() {
		return nil, fmt.Errorf("open %s: %w", path, errHeld)
	}
	// Not to wait for the carrier of a line; what is opened is looked at later.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	if _, err := wantMode(f, fs.ModeDevice|fs.ModeCharDevice); err != nil {
		_ = f.Close()
		return nil, err
	}
	if err := f.SetReadDeadline(time.Time{}); err == nil {
		return f, nil
	}
	if err := unix.SetNonblock(int(f.Fd()), false); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("open %s: make reads wait: %w", path, err)
	}
	d.last = newDetached(f)
	return d.last, nil
}

// wantMode refuses f unless its type is the one given.
func wantMode(f *os.File, want fs.FileMode) (fs.FileInfo, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if got := st.Mode().Type(); got != want {
		return nil, fmt.Errorf("open %s: it is a %s, not a %s", f.Name(), modeName(got), modeName(want))
	}
	return st, nil
}

// detached reads a file that no poller can wait for, such as /dev/hwrng, so that
// Close need not wait for the device. It costs a goroutine, whose thread is held
// by the kernel as long as a read lasts, and a copy of what is read. When a read
// is in progress at Close, goroutine, thread and descriptor are left behind until
// the device returns; the bytes of that read are zeroed.
type detached struct {
	file    io.ReadCloser
	want    chan int // how much to read into buf
	got     chan result
	quit    chan struct{}
	close   sync.Once
	reading atomic.Bool
	buf     [4096]byte // of the reader from want to got, of Read from got to want
}

type result struct {
	n   int
	err error
}

func newDetached(file io.ReadCloser) *detached {
	d := &detached{file: file, want: make(chan int), got: make(chan result), quit: make(chan struct{})}
	go d.run()
	return d
}

func (d *detached) run() {
	defer d.file.Close()
	for {
		select {
		case n := <-d.want:
			d.reading.Store(true)
			n, err := d.file.Read(d.buf[:n])
			d.reading.Store(false)
			select {
			case d.got <- result{n, err}:
			case <-d.quit:
				clear(d.buf[:])
				return
			}
		case <-d.quit:
			return
		}
	}
}

func (d *detached) Read(p []byte) (int, error) {
	select {
	case <-d.quit: // before the reader has seen it
		return 0, os.ErrClosed
	default:
	}
	select {
	case d.want <- min(len(p), len(d.buf)):
	case <-d.quit:
		return 0, os.ErrClosed
	}
	select {
	case r := <-d.got:
		n := copy(p, d.buf[:r.n])
		clear(d.buf[:r.n])
		return n, r.err
	case <-d.quit:
		return 0, os.ErrClosed
	}
}

func (d *detached) Close() error {
	d.close.Do(func() { close(d.quit) })
	return nil
}
