package vchan

import (
	"errors"
	"os"
	"testing"
	"time"
)

// A Read that waits is woken, and nothing is given back or told to anybody.
func TestAbandon(t *testing.T) {
	v := newTwo(t, 0, 0)
	if _, err := v.client.Write([]byte("stale")); err != nil {
		t.Fatal(err)
	}
	if _, err := v.server.Read(make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		_, err := v.server.Read(make([]byte, 1))
		done <- err
	}()
	for v.sbell.waits.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	rung := v.sbell.rung.Load()
	must(t, v.server.Abandon())
	select {
	case err := <-done:
		if !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	case <-time.After(soon):
		t.Fatal("Read waits for ever")
	}
	if _, err := v.server.Write([]byte("x")); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
	for _, again := range []error{v.server.Abandon(), v.server.Close()} {
		if !errors.Is(again, os.ErrClosed) {
			t.Error(again)
		}
	}
	if v.freed.Load() != 0 || v.sbell.rung.Load() != rung || v.server.page.flags()&serverUp == liveGone {
		t.Errorf("freed %d times, rung %d times, flags %#x", v.freed.Load(), v.sbell.rung.Load()-rung, v.server.page.flags())
	}
	if v.server.Met() {
		t.Error("it has a peer")
	}
}

// A server's client comes, and goes.
func TestMet(t *testing.T) {
	v := offered(t, 0, 0)
	if v.server.Met() {
		t.Error("before the client has come")
	}
	v.connect(t)
	if !v.server.Met() || !v.client.Met() {
		t.Error("they have not met")
	}
	must(t, v.client.Close())
	if v.server.Met() || v.client.Met() {
		t.Error("after the client has gone")
	}
}
