package daemon

import (
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// killed leaves a socket that nobody listens on, as a hostd that was killed does. It
// is older than the hostd of the test, unless it is to be young.
func (h hosting) killed(path string, young bool) {
	h.t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		h.t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	if !young {
		h.ages(path)
	}
}

func (h hosting) ages(path string) {
	h.t.Helper()
	if then := time.Now().Add(-time.Hour); os.Chtimes(path, then, then) != nil {
		h.t.Fatal("its time cannot be set")
	}
}

func TestDeadSocketsOfAnEarlierHostdAreRemoved(t *testing.T) {
	h := host(t, "[[guest]]\nname = \"mine\"\npipes = [\"qemu:DIR/guests/conf.sock\"]\n")
	folder := h.dir + "/guests/"
	h.boot(h.machine("web1", 1, 7))
	for _, name := range []string{"gone.sock", "gone.port", "a.port.sock", "other", ".x.sock-ABCDEF", ".sock"} {
		h.killed(folder+name, false)
	}
	h.killed(folder+"young.sock", true)
	if err := os.WriteFile(folder+"file.sock", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h.ages(folder + "file.sock")
	if err := os.Symlink("young.sock", folder+"link.sock"); err != nil {
		t.Fatal(err)
	}
	live, err := net.Listen("unix", folder+"live.sock")
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	// Who has no room for a client lives; one of another kind cannot be judged.
	for name, kind := range map[string]int{"full.sock": unix.SOCK_STREAM, "datagram.sock": unix.SOCK_DGRAM} {
		fd, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		if err := unix.Bind(fd, &unix.SockaddrUnix{Name: folder + name}); err != nil {
			t.Fatal(err)
		}
		if kind == unix.SOCK_STREAM {
			if err := unix.Listen(fd, 0); err != nil {
				t.Fatal(err)
			}
			waits, err := net.Dial("unix", folder+name)
			if err != nil {
				t.Fatal(err)
			}
			defer waits.Close()
		}
	}
	// A guest's own socket that is to be opened again.
	h.killed(folder+"again.sock", false)
	h.mu.Lock()
	for _, o := range h.guests["mine"].outlets {
		h.ages(o.Path)
	}
	own := h.guests["mine"].outlets[0].Pipe
	own.Path = folder + "again.sock"
	h.guests["mine"].outlets = append(h.guests["mine"].outlets, &outlet{Pipe: own})
	h.mu.Unlock()
	for _, name := range []string{"web1.sock", "live.sock", "full.sock", "datagram.sock"} {
		h.ages(folder + name)
	}

	begun := time.Now()
	for range 2 {
		sink{h.Daemon}.All(nil, []string{uuidOf(1)}, time.Now())
	}
	if took := time.Since(begun); took > 500*time.Millisecond {
		t.Errorf("it took %v", took)
	}
	want := []string{".sock", ".x.sock-ABCDEF", "again.sock", "conf.sock", "datagram.sock", "file.sock", "full.sock", "link.sock", "live.sock", "other", "web1.sock", "young.sock"}
	if left := h.leftOver(); !slices.Equal(left, want) {
		t.Errorf("left are %q, want %q", left, want)
	}
	if said := h.said("sockets_removed"); len(said) != 1 || !strings.HasSuffix(said[0], h.dir+"/guests: 3") {
		t.Errorf("said %q", said)
	}
	h.plug(h.socket("web1"))
}

// A guest may get the path, or another the name, after the socket was found dead.
func TestASocketThatLivesAgainStays(t *testing.T) {
	h := host(t, "")
	if err := os.MkdirAll(h.dir+"/guests", 0o755); err != nil {
		t.Fatal(err)
	}
	for name, meanwhile := range map[string]func(path string){
		"a guest's": func(string) { h.boot(h.machine("web1", 1, 7)) },
		"another's": func(path string) {
			unblock(t, path)
			h.killed(path, false)
		},
	} {
		path := h.socket("web1")
		h.killed(path, false)
		dead, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Link(path, path+".kept"); err != nil { // or the next may have its inode
			t.Fatal(err)
		}
		meanwhile(path)
		if h.removes(path, dead) {
			t.Errorf("%s socket was removed", name)
		}
		h.halt(h.machine("web1", 1, 7))
		for _, left := range h.leftOver() {
			unblock(t, h.dir+"/guests/"+left)
		}
	}
}
