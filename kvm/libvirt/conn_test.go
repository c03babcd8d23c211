package libvirt

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	rpc "github.com/digitalocean/go-libvirt"
)

func dialFake(t *testing.T, f *fake) *Conn {
	t.Helper()
	c, err := Dial(t.Context(), f.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestCalls(t *testing.T) {
	f := startFake(t, "")
	f.set(1, 3)
	f.set(2, -1)
	c := dialFake(t, f)
	ctx := t.Context()
	one, two, none := textOf(uuidOf(1)), textOf(uuidOf(2)), textOf(uuidOf(3))
	if v, err := c.Version(); v != "9.0.0" || err != nil || c.Socket() != f.path {
		t.Errorf("version %q %v at %s", v, err, c.Socket())
	}
	if got, err := c.Lookup(ctx, strings.ToUpper(one)); err != nil || got != (Info{Name: "vmb", UUID: one, ID: 3, Active: true}) {
		t.Errorf("%+v %v", got, err)
	}
	if got, err := c.Lookup(ctx, two); err != nil || got != (Info{Name: "vmc", UUID: two}) {
		t.Errorf("%+v %v", got, err)
	}
	for _, name := range []string{none, "no"} {
		if _, err := c.Lookup(ctx, name); !errors.Is(err, ErrNoDomain) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if list, err := c.Domains(ctx, false); err != nil || len(list) != 1 || list[0].UUID != one || !list[0].Persistent {
		t.Errorf("%+v %v", list, err)
	}
	if text, err := c.XML(ctx, one, false); err != nil || !strings.HasPrefix(string(text), "<domain id='3'>") {
		t.Errorf("%s %v", text, err)
	}
	if _, err := c.XML(ctx, none, false); !errors.Is(err, ErrNoDomain) {
		t.Error(err)
	}
	if _, err := c.Active(ctx, "no"); err == nil {
		t.Error("no UUID, and no error")
	}
	if err := c.SetPolicy(ctx, one, "<policy/>", true, true); err == nil {
		t.Error("a policy of no namespace was set")
	}
}

// An error of libvirt's own leaves the connection as it is.
func TestRefusedCalls(t *testing.T) {
	f := startFake(t, "")
	f.set(1, 3)
	c := dialFake(t, f)
	one := textOf(uuidOf(1))
	for code, want := range map[rpc.ErrorNumber]string{
		rpc.ErrNoDomain:        "virsh list --all",
		rpc.ErrOperationDenied: "read-only socket",
		rpc.ErrAccessDenied:    "polkit",
		rpc.ErrInternalError:   "libvirt: as told",
	} {
		f.meanwhile(func(proc uint32, _ rpc.UUID) error {
			if proc == procXML {
				return fakeError(code)
			}
			return nil
		})
		if _, err := c.XML(t.Context(), one, false); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), one) {
			t.Errorf("%d: %v, want %q", code, err, want)
		}
	}
	if _, err := c.Version(); err != nil {
		t.Errorf("the connection is gone: %v", err)
	}
}

// A call ends with its context while libvirtd hangs, and so do all the others.
func TestCallEndsWithItsContext(t *testing.T) {
	f := startFake(t, "")
	f.set(1, 3)
	c := dialFake(t, f)
	hung := make(chan struct{})
	asked := make(chan struct{}, 9)
	t.Cleanup(func() { close(hung) })
	f.meanwhile(func(proc uint32, _ rpc.UUID) error { asked <- struct{}{}; <-hung; return nil })
	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error, 2)
	go func() { _, err := c.Domains(t.Context(), true); errs <- err }()
	<-asked
	go func() { _, err := c.XML(ctx, textOf(uuidOf(1)), false); errs <- err }()
	<-asked
	cancel()
	for range 2 {
		select {
		case err := <-errs:
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		case <-time.After(soon):
			t.Fatal("a call does not end")
		}
	}
	if _, err := c.Version(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestHangingLibvirtd(t *testing.T) {
	f := startFake(t, "")
	c := dialFake(t, f)
	hung := make(chan struct{})
	t.Cleanup(func() { close(hung) })
	f.meanwhile(func(uint32, rpc.UUID) error { <-hung; return nil })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.Domains(ctx, true); !errors.Is(err, errHangs) {
		t.Error(err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if c, err := Dial(ctx, f.path); !errors.Is(err, errHangs) || c != nil {
		t.Error(err)
	}
	// Nor does it hold up Close.
	c = dialFakeBefore(t, f, hung)
	start := time.Now()
	if err := c.Close(); err == nil || time.Since(start) > soon {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

// dialFakeBefore connects to a libvirtd that hangs right after.
func dialFakeBefore(t *testing.T, f *fake, hung chan struct{}) *Conn {
	t.Helper()
	f.meanwhile(nil)
	c := dialFake(t, f)
	f.meanwhile(func(uint32, rpc.UUID) error { <-hung; return nil })
	return c
}

func TestLibvirtdEnds(t *testing.T) {
	f := startFake(t, "")
	f.set(1, 3)
	c := dialFake(t, f)
	f.meanwhile(func(proc uint32, _ rpc.UUID) error {
		if proc == procXML {
			return errHangUp
		}
		return nil
	})
	for range 2 {
		if _, err := c.XML(t.Context(), textOf(uuidOf(1)), false); err == nil || !strings.Contains(err.Error(), "libvirtd has closed the connection") {
			t.Error(err)
		}
	}
}

func TestClosed(t *testing.T) {
	f := startFake(t, "")
	c := dialFake(t, f)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if f.count(procClose) != 1 {
		t.Error("libvirtd was not told")
	}
	if _, err := c.Domains(t.Context(), true); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if err := c.Close(); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

func TestDialErrorsSayWhatToDo(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "stale")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	missing := filepath.Join(dir, "missing")
	for _, test := range []struct {
		sockets []string
		is      error
		want    string
	}{
		{[]string{missing}, fs.ErrNotExist, missing + ": no such file or directory: start libvirtd"},
		{[]string{missing, missing + "2"}, fs.ErrNotExist, missing + " or " + missing + "2: no such file"},
		{[]string{stale}, syscall.ECONNREFUSED, "nobody listens on it"},
		{[]string{missing, stale}, syscall.ECONNREFUSED, stale + ": connection refused"},
		{[]string{missing + strings.Repeat("x", 200)}, syscall.EINVAL, "invalid argument"},
	} {
		c, err := DialFirst(t.Context(), test.sockets)
		if c != nil || !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: %v, want %q", test.sockets, err, test.want)
		}
	}
	if err := dialError("/run/x", &net.OpError{Err: os.NewSyscallError("connect", syscall.EACCES)}); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "be root") {
		t.Error(err)
	}
	f := startFake(t, "")
	c, err := DialFirst(t.Context(), []string{missing, stale, f.path})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// What is no libvirtd is told from one before anything of it is believed.
func TestAnotherServer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "http.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
		_, _ = io.Copy(io.Discard, c)
	}()
	if _, err := Dial(t.Context(), path); !errors.Is(err, errFrame) {
		t.Error(err)
	}
}

// A connection that ends at any moment while it is made is an error, and leaves
// nothing behind.
func TestCutOffWhileConnecting(t *testing.T) {
	f := startFake(t, "")
	for _, proc := range []uint32{procAuthList, procOpen, procVersion} {
		for _, answer := range []fakeError{errHangUp, fakeError(rpc.ErrAccessDenied)} {
			f.meanwhile(func(p uint32, _ rpc.UUID) error {
				if p == proc {
					return answer
				}
				return nil
			})
			if c, err := Dial(t.Context(), f.path); err == nil || c != nil {
				t.Errorf("%d %d: connected", proc, answer)
			}
		}
	}
	f.meanwhile(nil)
	for n := range 100 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n)*5*time.Microsecond)
		if c, err := Dial(ctx, f.path); err == nil {
			c.Close()
		}
		cancel()
	}
}

// A domain is defined anew with all that it had, and only if that is another.
func TestRewrite(t *testing.T) {
	f := startFake(t, "")
	f.put(1, fakeDomain{name: "vmb", id: 3, xml: "<domain>old</domain>"})
	c := dialFake(t, f)
	one := textOf(uuidOf(1))
	edit := func(text []byte) ([]byte, error) { return bytes.ReplaceAll(text, []byte("old"), []byte("new")), nil }
	if err := c.Rewrite(t.Context(), one, edit); err != nil || f.defined != "<domain>new</domain>" {
		t.Errorf("%v, defined %q", err, f.defined)
	}
	if want := uint32(rpc.DomainXMLInactive | rpc.DomainXMLSecure); f.flags != want {
		t.Errorf("its XML was asked for with flags %d, want %d", f.flags, want)
	}
	if err := c.Rewrite(t.Context(), one, func(text []byte) ([]byte, error) { return text, nil }); err != nil || f.count(procDefine) != 1 {
		t.Errorf("%v, defined %d times", err, f.count(procDefine))
	}
	no := errors.New("no")
	if err := c.Rewrite(t.Context(), one, func([]byte) ([]byte, error) { return nil, no }); !errors.Is(err, no) || f.count(procDefine) != 1 {
		t.Errorf("%v, defined %d times", err, f.count(procDefine))
	}
	if err := c.Rewrite(t.Context(), textOf(uuidOf(2)), edit); !errors.Is(err, ErrNoDomain) {
		t.Error(err)
	}
	f.meanwhile(func(proc uint32, _ rpc.UUID) error {
		if proc == procDefine {
			return fakeError(rpc.ErrXMLError)
		}
		return nil
	})
	if err := c.Rewrite(t.Context(), one, edit); err == nil || !strings.HasSuffix(err.Error(), "define it anew: libvirt: as told") {
		t.Error(err)
	}
}
