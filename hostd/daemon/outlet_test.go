package daemon

import (
	"net"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// lingering is a socket of which the last descriptor to be closed takes a minute, or
// until the function that it returns is called: nobody reads what was sent on it.
func lingering(t *testing.T) (fd int, end func()) {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		t.Fatal(err)
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: l.Addr().(*net.TCPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	reader, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	for b := make([]byte, 1<<20); err == nil; {
		err = unix.Sendto(fd, b, unix.MSG_DONTWAIT, nil)
	}
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: 60}); err != nil {
		t.Fatal(err)
	}
	return fd, func() { reader.Close() }
}

// Who passes hostd a socket that lingers keeps the thread that closes it in the kernel.
// What hostd does for others goes on, and it can be removed.
func TestAGuestThatHangsIsRemoved(t *testing.T) {
	for kind, role := range map[string]string{"egd": "", "qemu": "", "port": "", "vhost-user": ",server=on"} {
		t.Run(kind, func(t *testing.T) {
			r := start(t, t.TempDir(), "[[guest]]\nname = \"web1\"\npipes = [\""+kind+":DIR/s"+role+"\"]\n")
			dial := func() *net.UnixConn {
				t.Helper()
				conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: filepath.Join(r.dir, "s")})
				if err != nil {
					t.Fatal(err)
				}
				return conn
			}
			pass := func(conn *net.UnixConn) {
				t.Helper()
				fd, end := lingering(t)
				t.Cleanup(end)
				if _, _, err := conn.WriteMsgUnix([]byte{3}, unix.UnixRights(fd), nil); err != nil {
					t.Fatal(err)
				}
				go unix.Close(fd) // if this is the last one, it takes long here
			}
			// The second takes the first one's place, where there is one place.
			for range 2 {
				conn := dial()
				pass(conn)
				time.Sleep(50 * time.Millisecond) // it is read
				conn.Close()
			}
			begun := time.Now()
			r.Status()
			if took := time.Since(begun); took > time.Second {
				t.Errorf("the status took %v", took)
			}
			begun = time.Now()
			if err := r.RemoveGuest("web1"); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begun); took > 5*hung {
				t.Errorf("to remove the guest took %v", took)
			}
		})
	}
}
