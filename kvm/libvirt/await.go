package libvirt

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// appears waits until one of the sockets is there, for patience at most. It is told
// of it by inotify(7), and where there is no inotify, waits for all of that time.
func appears(ctx context.Context, sockets []string, patience time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		<-ctx.Done()
		return
	}
	notes := os.NewFile(uintptr(fd), "inotify")
	defer notes.Close()
	until, _ := ctx.Deadline()
	if err := notes.SetReadDeadline(until); err != nil {
		<-ctx.Done()
		return
	}
	stop := context.AfterFunc(ctx, func() { notes.Close() })
	defer stop()
	// sizeof(struct inotify_event) + NAME_MAX + 1 is the least, inotify(7).
	buf := make([]byte, 4096)
	for ctx.Err() == nil {
		for _, socket := range sockets {
			// A folder that goes makes its parent the one to be watched.
			unix.InotifyAddWatch(fd, above(socket), unix.IN_CREATE|unix.IN_MOVED_TO|unix.IN_DELETE_SELF|unix.IN_MOVE_SELF|unix.IN_ONLYDIR) //nolint:errcheck // patience is there for that
		}
		if anyThere(sockets) {
			return
		}
		if _, err := notes.Read(buf); err != nil {
			<-ctx.Done()
			return
		}
	}
}

// above is the nearest folder above a path that is there.
func above(path string) string {
	for path != filepath.Dir(path) {
		path = filepath.Dir(path)
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			break
		}
	}
	return path
}

func anyThere(sockets []string) bool {
	for _, socket := range sockets {
		if _, err := os.Stat(socket); !errors.Is(err, fs.ErrNotExist) {
			return true
		}
	}
	return false
}
