package kvm

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxPath is the longest name of a unix socket in bytes: sun_path without its
// final NUL (linux/un.h).
const maxPath = 107

// backlog is how many clients may wait to be taken in; the kernel has a lower
// limit of its own (listen(2), net.core.somaxconn).
const backlog = 1024

// Socket says where a listening unix socket is to be and who may connect.
type Socket struct {
	Path string
	UID  int         // -1: the daemon's own
	GID  int         // -1: the daemon's own
	Mode fs.FileMode // 0: 0600
	// Label is the SELinux context that it gets; empty: what the policy says.
	Label string
}

// ErrInUse means that a living process listens on the path.
var ErrInUse = errors.New("another process listens on it")

var errOthers = errors.New("there is one that belongs to another user, and whether anybody listens on it cannot be seen: if no hostd runs, remove it")

// Listener is a unix listener that removes its name when closed, if the name is
// still its own.
type Listener struct {
	*net.UnixListener
	path   string
	made   fs.FileInfo
	closed sync.Once
}

// Listen makes the socket, and its directory if need be. The socket is born under
// a name of its own and takes no client before it has its owner and mode; only
// then it gets its name, so that it never stands there with others. One that a
// dead process left behind is replaced; one that answers is not: the error is
// ErrInUse then.
func Listen(s Socket) (*Listener, error) {
	l, err := s.listen()
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		err = fmt.Errorf("%w: hostd may not make it there: use /run/headgate/guests, or give its user the right to write in that folder, which under systemd its unit must name in ReadWritePaths=, too", err)
	}
	if err != nil {
		return nil, fmt.Errorf("socket %s: %w", s.Path, err)
	}
	return l, nil
}

func (s Socket) listen() (*Listener, error) {
	if len(s.Path) > maxPath {
		return nil, fmt.Errorf("the path has %d bytes, at most %d are possible", len(s.Path), maxPath)
	}
	if err := replaceable(s.Path); err != nil {
		return nil, err
	}
	parent := filepath.Dir(s.Path)
	if err := makeDirs(parent); err != nil {
		return nil, err
	}
	// Its name at birth is what ss(8) goes on showing.
	born := filepath.Join(parent, "."+filepath.Base(s.Path)+"-"+rand.Text()[:6])
	address := born
	if len(address) > maxPath {
		dir, err := os.Open(parent)
		if err != nil {
			return nil, err
		}
		defer dir.Close()
		address = "/proc/self/fd/" + strconv.Itoa(int(dir.Fd())) + "/" + filepath.Base(born)
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), s.Path)
	defer file.Close() // net.FileListener has its own descriptor
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: address}); err != nil {
		return nil, err
	}
	listener, made, err := s.present(fd, file, born)
	if err != nil {
		os.Remove(born)
		return nil, err
	}
	return &Listener{UnixListener: listener, path: s.Path, made: made}, nil
}

// makeDirs makes what is missing of a path so that everybody can pass through it,
// whatever the umask: who may connect is for the socket to say.
func makeDirs(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := makeDirs(filepath.Dir(path)); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o755); err != nil {
		return err
	}
	return os.Chmod(path, 0o755)
}

// present gives a bound socket its owner and mode, lets it listen, and puts it in
// its place.
func (s Socket) present(fd int, file *os.File, born string) (*net.UnixListener, fs.FileInfo, error) {
	mode := s.Mode
	if mode == 0 {
		mode = 0o600
	}
	if err := os.Chmod(born, mode); err != nil {
		return nil, nil, err
	}
	if err := s.label(born); err != nil {
		return nil, nil, err
	}
	if s.UID >= 0 || s.GID >= 0 {
		if err := os.Lchown(born, s.UID, s.GID); err != nil {
			return nil, nil, fmt.Errorf("give it to user %d, group %d: the service needs CAP_CHOWN for that (%v)", s.UID, s.GID, err) //nolint:errorlint // not to be taken for a folder that cannot be written to
		}
	}
	if err := unix.Listen(fd, backlog); err != nil {
		return nil, nil, err
	}
	made, err := os.Lstat(born)
	if err != nil {
		return nil, nil, err
	}
	l, err := net.FileListener(file)
	if err != nil {
		return nil, nil, err
	}
	if err := os.Rename(born, s.Path); err != nil {
		l.Close()
		return nil, nil, err
	}
	unixListener := l.(*net.UnixListener)
	unixListener.SetUnlinkOnClose(false)
	return unixListener, made, nil
}

// label gives the socket its SELinux context while it is still the daemon's own,
// which relabelling asks for. It is written as libselinux's setfilecon does, with
// the final NUL (xattr(7): security.selinux).
func (s Socket) label(born string) error {
	if s.Label == "" {
		return nil
	}
	err := error(unix.EINVAL)
	if !strings.ContainsRune(s.Label, 0) {
		err = unix.Lsetxattr(born, "security.selinux", append([]byte(s.Label), 0), 0)
	}
	cure := ""
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENOTSUP):
		cure = "the file system keeps no labels: use a folder on a tmpfs, as /run is"
	case errors.Is(err, unix.EINVAL):
		cure = "the SELinux policy knows no such label: see the domain's <seclabel>"
	default:
		cure = "the SELinux policy must allow hostd relabelfrom and relabelto for it, and without SELinux it needs CAP_SYS_ADMIN"
	}
	return fmt.Errorf("label it %.200q: %s (%v)", s.Label, cure, err) //nolint:errorlint // not to be taken for a folder that cannot be written to
}

// replaceable says whether path is free, or a socket that nobody listens on.
func replaceable(path string) error {
	if _, err := Dead(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Dead finds a socket that nobody has any more. It does not wait, and who has it does
// not notice. An error says what is there instead: nothing (fs.ErrNotExist), one that
// lives (ErrInUse), or what cannot be judged.
func Dead(path string) (fs.FileInfo, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return nil, errors.New("there is a file of that name that is no socket: remove it, or choose another path")
	}
	switch err := probe(path); {
	case err == nil, errors.Is(err, unix.EPROTOTYPE):
		return nil, ErrInUse
	case errors.Is(err, unix.ECONNREFUSED):
		return info, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, err
	case errors.Is(err, fs.ErrPermission):
		return nil, errOthers
	default:
		return nil, fmt.Errorf("%w (%w)", ErrInUse, err)
	}
}

// probe connects with another type of socket, so that whoever listens there, which may
// be a QEMU that takes one client, does not notice: EPROTOTYPE says that a socket of
// theirs is bound to that name (unix_find_bsd, net/unix/af_unix.c).
func probe(path string) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Connect(fd, &unix.SockaddrUnix{Name: path})
}

// Close ends the listening and removes the name, unless somebody has put
// another socket there.
func (l *Listener) Close() error {
	// Once: the next socket there may have got the same inode.
	l.closed.Do(func() {
		if info, err := os.Lstat(l.path); err == nil && os.SameFile(info, l.made) {
			os.Remove(l.path)
		}
	})
	return l.UnixListener.Close()
}
