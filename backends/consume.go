package backends

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// errUsedUp is the end of a regular file. It may be filled again.
var errUsedUp = errors.New("all its bytes are used: put fresh ones there")

// consumeChunk bounds one Read of a regular file, and so what a process that is
// killed in the middle can leave half destroyed.
const consumeChunk = 4096

// consumed is a regular file whose bytes are used from its end on. Read overwrites
// them, truncates the file, and has the disk confirm both before it returns them:
// whenever the process or the machine stops, what was returned is not in the file.
// (A copy of the file, a snapshot of its file system or a medium that writes
// elsewhere may still hold them: nothing here can know of those.)
type consumed struct {
	file  *os.File
	zeros [consumeChunk]byte
}

func openConsumed(path string) (io.ReadCloser, error) {
	// The name must be the file's own and only one: through a link, or with a second
	// name, some other file would be destroyed than the operator sees.
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.ELOOP) {
		return nil, fmt.Errorf("open %s: it is a symbolic link, and consume = true destroys: name the file itself", path)
	}
	if err != nil {
		return nil, err
	}
	c := &consumed{file: f}
	if err := c.take(); err != nil {
		_ = f.Close()
		return nil, err
	}
	return c, nil
}

// take makes sure that the file is ours alone and has something in it.
func (c *consumed) take() error {
	st, err := wantMode(c.file, 0)
	if err != nil {
		return err
	}
	if s, ok := st.Sys().(*syscall.Stat_t); ok && s.Nlink != 1 {
		return fmt.Errorf("open %s: it has %d names (hard links), and consume = true destroys: leave it one", c.file.Name(), s.Nlink)
	}
	if err := unix.Flock(int(c.file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("open %s: another process uses it up (lock: %w): give each its own file", c.file.Name(), err)
	}
	size, err := c.dropZeros(st.Size())
	if err == nil && size == 0 {
		err = fmt.Errorf("open %s: %w", c.file.Name(), errUsedUp)
	}
	return err
}

// dropZeros cuts off what a process left that was stopped after it had
// overwritten a chunk and before it had truncated it. Noise ends with eight zeros
// once in 2^64.
func (c *consumed) dropZeros(size int64) (int64, error) {
	tail := make([]byte, min(size, consumeChunk))
	defer clear(tail)
	if _, err := c.file.ReadAt(tail, size-int64(len(tail))); err != nil {
		return 0, err
	}
	zeros := int64(len(tail) - len(bytes.TrimRight(tail, "\x00")))
	if zeros < 8 {
		return size, nil
	}
	return size - zeros, c.truncate(size - zeros)
}

func (c *consumed) Read(p []byte) (n int, err error) {
	defer func() {
		if err != nil {
			clear(p)
			n = 0
		}
	}()
	size, err := c.file.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	n = int(min(size, int64(len(p)), consumeChunk))
	if n == 0 && len(p) > 0 {
		return 0, errUsedUp
	}
	from := size - int64(n)
	if _, err := c.file.ReadAt(p[:n], from); err != nil {
		return 0, err
	}
	if _, err := c.file.WriteAt(c.zeros[:n], from); err != nil {
		return 0, err
	}
	if err := c.file.Sync(); err != nil {
		return 0, err
	}
	return n, c.truncate(from)
}

func (c *consumed) truncate(size int64) error {
	if err := c.file.Truncate(size); err != nil {
		return err
	}
	return c.file.Sync()
}

func (c *consumed) Close() error { return c.file.Close() }
