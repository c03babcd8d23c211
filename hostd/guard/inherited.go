package guard

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Inherited says which of the process's descriptors is a socket that reaches beyond this
// host: of any family but unix and netlink. At start those are the ones that it was
// given; the guard sees new ones alone, so that hostd must not go on with such a one.
// It is nil if there is none, and a *Handed if there is one.
func Inherited() error {
	folder, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return fmt.Errorf("look for inherited sockets: %w", err)
	}
	for _, entry := range folder {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil {
			return fmt.Errorf("look for inherited sockets: %w", err)
		}
		if err := inherited(fd); err != nil {
			return err
		}
	}
	return nil
}

// Handed is a descriptor that hostd was started with and must not have.
type Handed struct {
	Descriptor int
	words      string // what it is, and what to do
}

// Error says what it is.
func (h *Handed) Error() string {
	return fmt.Sprintf("descriptor %d, which hostd was started with, is %s", h.Descriptor, h.words)
}

func inherited(fd int) error {
	// An io_uring may have sockets registered that are no descriptors of this process.
	if what, _ := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd)); what == "anon_inode:[io_uring]" {
		return &Handed{fd, "an io_uring, and may hold network sockets: start hostd without it"}
	}
	family, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	switch {
	case errors.Is(err, unix.ENOTSOCK), errors.Is(err, unix.EBADF):
		return nil // EBADF: a path alone (O_PATH), or the folder that was read here
	case err != nil:
		return fmt.Errorf("descriptor %d: what family of socket it is: %w", fd, err)
	case family == unix.AF_UNIX, family == unix.AF_NETLINK:
		return nil
	}
	return &Handed{fd, fmt.Sprintf("a network socket (%s): "+
		"start hostd without it, by a service manager or with its descriptors redirected (N</dev/null); in a unit, with no ListenStream= of an address and no StandardInput=socket",
		familyName(uint32(family)))}
}
