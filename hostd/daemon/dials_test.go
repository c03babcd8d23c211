package daemon

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/kvm/vhost/vhosttest"
)

const taped = `
[[source]]
name = "tape"
type = "file"
path = "DIR/tape"
consume = true
min_entropy = 6.0
`

// front is a guest's QEMU with a device, which is not connected yet.
func front(t *testing.T) *vhosttest.Front {
	t.Helper()
	f, err := vhosttest.New(vhosttest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

// reads sees that the guest gets bytes once it is connected.
func reads(ctx context.Context, t *testing.T, f *vhosttest.Front) {
	t.Helper()
	if err := f.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if n, err := f.Read(ctx, make([]byte, 64)); err != nil || n == 0 {
		t.Fatalf("read %d bytes: %v", n, err)
	}
}

// A guest with a device at whose socket QEMU listens: hostd makes the folder, connects
// when QEMU is there, and after its own restart, and removes the folder with the guest.
func TestAGuestToWhoseSocketHostdConnects(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	dir := t.TempDir()
	writeTape(t, dir, 1<<20)
	r := start(t, dir, taped)
	path := filepath.Join(dir, "web1.vhost", "sock")
	spec := control.GuestSpec{Guest: config.Guest{Name: "web1", Pipes: []config.Pipe{{Kind: config.VhostUser, Path: path}}}}
	if err := r.AddGuest(spec); err != nil {
		t.Fatal(err)
	}
	pipe := func() control.PipeStatus { return r.guest("web1").Pipes[0] }
	r.until("why it is not connected", func() bool { return strings.Contains(pipe().Error, "is the guest started") })
	f := front(t)
	if err := f.Listen(path); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := f.Accept(ctx); err != nil {
			t.Fatal(err)
		}
		reads(ctx, t, f)
		if p := pipe(); !p.Connected || p.Error != "" || p.Connections != 1 || p.Requests == 0 || p.Bytes == 0 || p.Server {
			t.Fatalf("%+v", p)
		}
		r.stop()
		if _, err := os.Lstat(path); err != nil {
			t.Fatalf("the socket of a QEMU that lives: %v", err)
		}
		r = start(t, dir, taped)
	}
	if _, err := r.PushGuest("web1"); !errors.Is(err, control.ErrInvalid) {
		t.Errorf("pushed: %v", err)
	}
	f.Close()
	r.until("it has noticed", func() bool { return !pipe().Connected && pipe().Error != "" })
	if err := r.RemoveGuest("web1"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(filepath.Dir(path)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder of a removed guest: %v", err)
	}
}

// At the socket of the other role hostd listens, for one QEMU.
func TestAGuestWhoseDeviceConnects(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	dir := t.TempDir()
	writeTape(t, dir, 1<<20)
	path := filepath.Join(dir, "sock")
	r := start(t, dir, taped+"[[guest]]\nname = \"web1\"\npipes = [\"vhost-user:DIR/sock,server=on\"]\n")
	f := front(t)
	if err := f.Dial(ctx, path); err != nil {
		t.Fatal(err)
	}
	reads(ctx, t, f)
	second := front(t)
	if err := second.Dial(ctx, path); err != nil {
		t.Fatal(err)
	}
	select {
	case <-second.Gone():
	case <-ctx.Done():
		t.Fatal("a second one is not hung up on")
	}
	if p := r.guest("web1").Pipes[0]; !p.Connected || !p.Server || p.Refused != 1 || p.Pipe().String() != "vhost-user:"+path+",server=on" {
		t.Fatalf("%+v", p)
	}
	r.stop()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

func TestWhatAPipeOpens(t *testing.T) {
	for kind, want := range map[string]int{"qemu": 2, config.Vchan: 2, config.VhostUser: 4} {
		if n := descriptors(config.Pipe{Kind: kind}); n != want {
			t.Errorf("%s: %d", kind, n)
		}
	}
}

// A device of libvirt's is served by a pipe of its kind.
func TestServes(t *testing.T) {
	g := &guest{}
	for _, kind := range []string{"qemu", "egd", "port", config.VhostUser} {
		g.outlets = append(g.outlets, &outlet{Pipe: config.Pipe{Kind: kind, Path: "/" + kind}})
	}
	for _, c := range []struct {
		device, path string
		want         bool
	}{
		{"qemu", "/qemu", true}, {"qemu", "/egd", true}, {"qemu", "/port", false}, {"qemu", "/vhost-user", false},
		{"port", "/port", true}, {"port", "/qemu", false}, {"port", "/vhost-user", false}, {"port", "/none", false},
		{config.VhostUser, "/vhost-user", true}, {config.VhostUser, "/qemu", false}, {config.VhostUser, "/egd", false},
	} {
		if got := g.serves(c.device, c.path); got != c.want {
			t.Errorf("a %s device at %s: %v", c.device, c.path, got)
		}
	}
}
