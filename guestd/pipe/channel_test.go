//go:build linux

package pipe

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"headgate/wire/feed"
	"headgate/xen/console/consoletest"
	"headgate/xen/xenstore"
	"headgate/xen/xenstore/storetest"
)

// channelGuest has a channel whose terminal is a pty. plug makes another its terminal.
func channelGuest(t *testing.T) (pl *Place, xen *storetest.Store, plug func() *os.File) {
	t.Helper()
	xen = storetest.New()
	t.Cleanup(xen.Close)
	xen.Introduce(5)
	p := tree(t, map[string]string{"dev/xen/xenbus": ""})
	p.bus = &store{dial: func() (*xenstore.Conn, error) {
		c := xen.Connect(6)
		if _, err := c.Read("domid"); err == nil { // it was restored as that
			return c, nil
		}
		_ = c.Close()
		return xen.Connect(5), nil
	}}
	name(t, xen, 5)
	return &p, xen, func() *os.File {
		master, path := consoletest.Terminal(t)
		link := filepath.Join(p.Root, "dev", "hvc2")
		_ = os.Remove(link)
		if err := os.Symlink(path, link); err != nil {
			t.Fatal(err)
		}
		return master
	}
}

// name writes what the toolstack writes for a domain's channels.
func name(t *testing.T, xen *storetest.Store, domid int) {
	t.Helper()
	c := xen.Connect(0)
	defer func() { _ = c.Close() }()
	for n, name := range map[int]string{1: "dummy", 2: PortName} {
		if err := c.Write(fmt.Sprintf("/local/domain/%d/device/console/%d/name", domid, n), name); err != nil {
			t.Fatal(err)
		}
	}
}

func openPipe(t *testing.T, pl *Place) Pipe {
	t.Helper()
	p, err := pl.Open(ChannelKind)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func TestChannel(t *testing.T) {
	pl, _, plug := channelGuest(t)
	master := plug()
	p := openPipe(t, pl)
	all := make([]byte, 256) // every byte, as it is
	for i := range all {
		all[i] = byte(i)
	}
	push(t, master, string(all))
	received(t, p, string(all))
	if err := p.Ask(64); err != nil {
		t.Fatal(err)
	}
	if err := p.Report(&feed.Report{Reason: "push"}); err != nil {
		t.Fatal(err)
	}
	if f := frames(t, master, 2); f[0].N != 64 || f[1].Report.Reason != "push" {
		t.Errorf("%+v", f)
	}
	if _, err := pl.Open(ChannelKind); err == nil {
		t.Error("a second guestd opened it, too")
	}
	if p.Kind() != ChannelKind || p.Path() != "channel:"+PortName {
		t.Errorf("%s at %s", p.Kind(), p.Path())
	}
}

func TestNoChannel(t *testing.T) {
	pl, xen, _ := channelGuest(t)
	c := xen.Connect(0)
	defer func() { _ = c.Close() }()
	if err := c.Remove("/local/domain/5/device/console/2"); err != nil {
		t.Fatal(err)
	}
	if _, err := pl.Open(ChannelKind); !errors.Is(err, ErrNone) {
		t.Errorf("%v", err)
	}
}

// The kernel hangs the terminal up when the guest was restored, and gives it another
// backend: it is opened again, and asked at once, for as much as before. What comes
// counts as a push.
func TestChannelHangsUp(t *testing.T) {
	pl, _, plug := channelGuest(t)
	first := plug()
	p := openPipe(t, pl)
	if err := p.Ask(99); err != nil {
		t.Fatal(err)
	}
	go func() {
		second := plug()
		_ = first.Close()
		if f := frames(t, second, 1); f[0].N != 99 {
			t.Errorf("%+v", f)
		}
		answer(t, second, "again")
	}()
	received(t, p, "again")
}

// Where it is not hung up, what lay in it before the save is forgotten.
func TestChannelIsFlushedAfterRestore(t *testing.T) {
	pl, xen, plug := channelGuest(t)
	master := plug()
	p := openPipe(t, pl)
	_ = p.Ask(64)
	frames(t, master, 1)
	open, err := os.Open(filepath.Join(pl.Root, "dev", "hvc2")) // so that nobody is hung up
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = open.Close() }()
	xen.Restore(5, 6)
	name(t, xen, 6)
	for end := time.Now().Add(patience); !p.(*renewed).now.(*tty).moot.Load(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the restore was not seen")
		}
	}
	push(t, master, "stale")
	go func() {
		frames(t, master, 1)
		answer(t, master, "fresh")
	}()
	received(t, p, "fresh") // which counts as a push
}

func TestCloseWakesChannel(t *testing.T) {
	pl, _, plug := channelGuest(t)
	plug()
	p := openPipe(t, pl)
	time.AfterFunc(20*time.Millisecond, func() { _ = p.Close() })
	if _, err := p.Receive(); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
}

// When it cannot be opened again, the pipe ends after some seconds and says why.
func TestChannelIsGone(t *testing.T) {
	pl, xen, plug := channelGuest(t)
	master := plug()
	p := openPipe(t, pl)
	c := xen.Connect(0)
	defer func() { _ = c.Close() }()
	_ = c.Remove("/local/domain/5/device/console/2")
	_ = master.Close()
	if _, err := p.Receive(); !errors.Is(err, ErrNone) {
		t.Error(err)
	}
}
