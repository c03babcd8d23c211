package backends

import (
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// fileSource reads a character device or a FIFO that gives raw samples, or uses
// up a regular file of them. What is behind the path is looked at anew at each
// Open. Symbolic links are followed to devices and FIFOs, as udev makes them, but
// not to a file whose bytes would be destroyed. A terminal must be in raw mode.
type fileSource struct {
	config Config
	device device
}

func (s *fileSource) Open() (io.ReadCloser, Info, error) {
	path := s.config.Path
	// Physical stays false: what writes there is for the operator to know.
	info := s.config.claim(Info{Path: path, Origin: "file:" + path}, 8)
	st, err := os.Stat(path)
	if err != nil {
		return nil, Info{}, err
	}
	var stream io.ReadCloser
	kind := st.Mode().Type()
	switch {
	case kind == 0 && !s.config.Consume:
		return nil, Info{}, fmt.Errorf("open %s: it is a regular file, whose bytes could be used twice: "+
			"set consume = true to have them destroyed as they are used, or name a device or a FIFO", path)
	case kind != 0 && s.config.Consume:
		return nil, Info{}, fmt.Errorf("open %s: it is a %s: consume = true is for regular files", path, modeName(kind))
	case kind == 0:
		stream, err = openConsumed(path)
	case kind == fs.ModeNamedPipe:
		stream, err = openFIFO(path)
	case kind == fs.ModeDevice|fs.ModeCharDevice:
		stream, err = s.device.open(path)
	default:
		err = fmt.Errorf("open %s: it is a %s: name a character device, a FIFO, or a regular file with consume = true",
			path, modeName(kind))
	}
	if err != nil {
		return nil, Info{}, err
	}
	info.Driver = modeName(kind)
	return stream, info, nil
}

func modeName(m fs.FileMode) string {
	switch m {
	case 0:
		return "regular file"
	case fs.ModeDevice | fs.ModeCharDevice:
		return "character device"
	case fs.ModeDevice:
		return "block device"
	case fs.ModeNamedPipe:
		return "FIFO"
	case fs.ModeDir:
		return "directory"
	case fs.ModeSocket:
		return "socket"
	case fs.ModeSymlink:
		return "symbolic link"
	}
	return "file of unknown type"
}

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
	if err := wantMode(f, fs.ModeNamedPipe); err != nil {
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

func (f *fifo) Close() error { return f.file.Close() }
