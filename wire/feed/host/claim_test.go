package host

import (
	"context"
	"testing"

	"headgate/wire/feed"
	"headgate/wire/wiretest"
)

// graded gives bytes of a generator, but for the first full ones.
type graded struct {
	*wiretest.Tank
	full int
}

func (g *graded) TryReadGraded(p []byte) (int, bool) {
	if g.full > 0 {
		n := g.TryRead(p[:min(len(p), g.full)])
		g.full -= n
		return n, true
	}
	return g.TryRead(p), false
}

func (g *graded) ReadGraded(ctx context.Context, p []byte) (int, bool, error) {
	if n, full := g.TryReadGraded(p); n > 0 {
		return n, full, nil
	}
	n, err := g.ReadContext(ctx, p)
	return n, false, err
}

// Bytes of full entropy claim 8 bits each. A frame with a byte of a generator in it
// claims no more than 256 bits, and no more than 8 a byte either.
func TestClaims(t *testing.T) {
	s := &Server{Tap: &graded{wiretest.NewTank(1 << 20), 64 + 100}, PushBytes: 64}
	g := connect(t, s)
	expect := func(typ feed.Type, size int, bits uint32) {
		t.Helper()
		if f := g.next(); f.Type != typ || len(f.Data) != size || f.Bits != bits {
			t.Errorf("frame of type %d with %d bytes claims %d bits; want type %d, %d bytes, %d bits",
				f.Type, len(f.Data), f.Bits, typ, size, bits)
		}
	}
	expect(feed.TypePush, 64, 512)
	g.request(90)
	expect(feed.TypeGrant, 90, 720)
	s.Push() // 10 bytes of the one and 54 of the other
	expect(feed.TypePush, 64, 256)
	g.request(512)
	expect(feed.TypeGrant, 512, 256)
	g.request(16)
	expect(feed.TypeGrant, 16, 128)
}

// late gives bytes of a generator, half a push at a time, and then full entropy.
type late struct {
	*wiretest.Tank
	calls int
}

func (l *late) TryReadGraded(p []byte) (int, bool) {
	l.calls++
	return l.TryRead(p[:min(len(p), 32)]), l.calls > 1
}

func (l *late) ReadGraded(_ context.Context, p []byte) (int, bool, error) {
	n, full := l.TryReadGraded(p)
	return n, full, nil
}

func TestClaimOfAMixedPush(t *testing.T) {
	g := connect(t, &Server{Tap: &late{Tank: wiretest.NewTank(1 << 20)}, PushBytes: 64})
	if f := g.next(); len(f.Data) != 64 || f.Bits != 256 {
		t.Errorf("%d bytes, the first half a generator's, claim %d bits", len(f.Data), f.Bits)
	}
}
