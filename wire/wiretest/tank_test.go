package wiretest

import (
	"context"
	"errors"
	"os"
	"testing"

	"headgate/wire"
)

var _, _ wire.Tap = new(Endless), new(Tank)

func TestTankGivesThePatternOnce(t *testing.T) {
	tank := NewTank(5)
	var got [9]byte
	if n := tank.TryRead(got[:]); n != 5 || tank.Available() != 0 {
		t.Fatalf("took %d of 5, %d left", n, tank.Available())
	}
	go func() {
		tank.Dry(t.Context(), 1)
		tank.Pour(100)
	}()
	if n, err := tank.ReadContext(t.Context(), got[5:]); n != 4 || err != nil {
		t.Fatalf("took %d, %v", n, err)
	}
	var want [9]byte
	Pattern(want[:], 0)
	if got != want {
		t.Error("not the pattern")
	}
	if n := tank.Unzeroed(); n != 9 {
		t.Errorf("%d unzeroed, want 9", n)
	}
	clear(got[2:])
	if n := tank.Unzeroed(); n != 2 {
		t.Errorf("%d unzeroed, want 2", n)
	}
}

func TestTankEnds(t *testing.T) {
	tank := NewTank(0)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		tank.Dry(t.Context(), 1)
		cancel()
	}()
	if n, err := tank.ReadContext(ctx, make([]byte, 1)); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("after cancel: %d, %v", n, err)
	}
	tank.Close()
	if n, err := tank.ReadContext(t.Context(), make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %d, %v", n, err)
	}
}
