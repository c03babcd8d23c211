package backends

import (
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// fifo is the reading end of a FIFO. Read waits for the first writer and says
// io.EOF when the last one has left.
type fifo struct {
	file *os.File
}

func openFIFO(path string) (io.ReadCloser, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a FIFO's open waits for a writer
	if err != nil {
		return nil, err
	}
	st, err := wantMode(f, fs.ModeNamedPipe)
	if err == nil && st.Mode()&0o002 != 0 {
		err = fmt.Errorf("open %s: every user may write to this FIFO, and so choose its bytes: take that right away (chmod o-w)", path)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return &fifo{file: f}, nil
}

func (f *fifo) Read(p []byte) (int, error) {
	for {
		n, err := f.file.Read(p)
		if err != io.EOF {
			return n, err
		}
		if hangup, err := f.await(); err != nil {
			return 0, err
		} else if hangup {
			return 0, io.EOF
		}
	}
}

// await waits until there is something to read, or a writer has been there and
// left. A FIFO that was never written to since it was opened reads as ended, but
// does not poll as hung up (pipe_poll in fs/pipe.c).
func (f *fifo) await() (hangup bool, err error) {
	raw, err := f.file.SyscallConn()
	if err != nil {
		return false, os.ErrClosed
	}
	err = raw.Read(func(fd uintptr) bool {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(poll, 0); err != nil {
			return err != unix.EINTR
		}
		hangup = poll[0].Revents == unix.POLLHUP
		return poll[0].Revents != 0
	})
	if err != nil { // there is no deadline, so it can only be Close
		return false, os.ErrClosed
	}
	return hangup, nil
}

// drop throws away what waits to be read, and no more: it neither waits nor follows
// a writer that goes on.
func (f *fifo) drop() {
	raw, err := f.file.SyscallConn()
	if err != nil {
		return // closed: the next Read says so
	}
	var buf [4096]byte
	_ = raw.Control(func(fd uintptr) {
		waiting, err := unix.IoctlGetInt(int(fd), unix.TIOCINQ) // FIONREAD, by its other name
		for err == nil && waiting > 0 {
			var n int
			if n, err = unix.Read(int(fd), buf[:min(waiting, len(buf))]); n == 0 {
				break
			}
			waiting -= n
		}
	})
	clear(buf[:])
}

func (f *fifo) Close() error { return f.file.Close() }
