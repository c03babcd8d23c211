//go:build linux

package feeder

import (
	"bytes"
	"crypto/rand"
	"errors"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"headgate/guestd/kernelpool"
	"headgate/wire/feed"
)

// fakePool is the kernel's pool, with a record of what was done to it.
type fakePool struct {
	mixed, bits, reseeds int
	last                 []byte       // what was mixed last
	pieces               []int        // sizes of the additions that were credited
	needs                atomic.Int64 // bits of credit before it can be reseeded
	addErr, reseedErr    error
}

func (p *fakePool) Add(data []byte, bits int) error {
	if p.addErr != nil {
		return p.addErr
	}
	if bits > 8*len(data) {
		return errors.New("impossible credit")
	}
	p.mixed += len(data)
	p.last = bytes.Clone(data)
	p.bits += bits
	if bits > 0 {
		p.pieces = append(p.pieces, len(data))
	}
	return nil
}

func (p *fakePool) Reseed() error {
	if p.bits < int(p.needs.Load()) {
		return kernelpool.ErrNotReady
	}
	p.reseeds++
	return p.reseedErr
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

func newIntake(credit string) (*Intake, *fakePool) {
	c, err := ParseCredit(credit)
	if err != nil {
		panic(err)
	}
	p := new(fakePool)
	return &Intake{Pool: p, Credit: c, Cycles: func() uint64 { return 1 }}, p
}

func fresh(data []byte) feed.Batch { return feed.Batch{Data: data, Bits: 8 * len(data)} }

func TestCreditPolicies(t *testing.T) {
	for _, c := range []struct {
		credit  string
		claimed int
		want    int
	}{
		{"auto", 512, 512}, {"auto", 100, 100}, {"auto", 0, 0}, {"none", 512, 0},
		{"full", 0, 512}, {"4", 512, 256}, {"1", 0, 64},
	} {
		in, pool := newIntake(c.credit)
		out, err := in.Take(feed.Batch{Data: random(64), Bits: c.claimed})
		if err != nil || !out.Gathered || out.Bits != c.want || pool.bits != c.want || pool.reseeds != 1 {
			t.Errorf("%s, %d claimed: %+v, %v, pool %+v", c.credit, c.claimed, out, err, pool)
		}
		if pool.mixed != 64+8 {
			t.Errorf("%s: mixed %d bytes, want 64 and the cycle counter", c.credit, pool.mixed)
		}
	}
	for _, s := range []string{"", "0", "9", "12", "-1", "Full"} {
		if _, err := ParseCredit(s); err == nil {
			t.Errorf("%q is taken", s)
		}
	}
}

// Where the host is the adversary auto is mixed and tested as ever, and credits nothing;
// what somebody asked for stays.
func TestUntrusting(t *testing.T) {
	for text, want := range map[string]int{"auto": 0, "none": 0, "full": 512, "3": 192} {
		in, pool := newIntake(text)
		in.Credit = in.Credit.Untrusting()
		out, err := in.Take(fresh(random(64)))
		if err != nil || !out.Gathered || out.Bits != want || pool.bits != want || pool.mixed != 64+8 || pool.reseeds != 1 {
			t.Errorf("%s: %+v, %v, %d bits, %d mixed", text, out, err, pool.bits, pool.mixed)
		}
		if in.Credit.String() != text {
			t.Errorf("%s is shown as %s", text, in.Credit)
		}
		if out, _ := in.Take(fresh(make([]byte, 256))); out.Failed == nil {
			t.Errorf("%s: zeros passed", text)
		}
	}
}

func TestStaleIsMixedNotCredited(t *testing.T) {
	in, pool := newIntake("full")
	b := fresh(random(96))
	b.Fresh = 64
	if out, err := in.Take(b); err != nil || out.Bits != 256 || pool.mixed != 96+8 {
		t.Errorf("%+v, %v, pool %+v", out, err, pool)
	}
}

func TestFailureWithholdsCreditUntilProbationEnds(t *testing.T) {
	in, pool := newIntake("auto")
	bad := random(64)
	copy(bad[20:], bytes.Repeat([]byte{7}, 20))
	out, err := in.Take(fresh(bad))
	if err != nil || out.Failed == nil || out.Gathered || pool.bits != 0 || pool.mixed != 64+8 || pool.reseeds != 1 {
		t.Fatalf("%+v, %v, pool %+v", out, err, pool)
	}
	for passed := 64; passed < Probation; passed += 64 {
		if out, _ := in.Take(fresh(random(64))); out.Bits != 0 || out.Failed != nil {
			t.Fatalf("after %d bytes: %+v", passed, out)
		}
	}
	if out, _ := in.Take(fresh(random(64))); out.Bits != 512 {
		t.Errorf("after probation: %+v", out)
	}
}

func TestHeldBytesLoseCreditWithTheirEpoch(t *testing.T) {
	in, pool := newIntake("auto")
	first, second := fresh(random(31)), fresh(random(31))
	second.Epoch, second.Pushed = feed.Epoch{2}, true
	for _, b := range []feed.Batch{first, second} {
		if out, err := in.Take(b); err != nil || out.Gathered {
			t.Fatalf("%+v, %v", out, err)
		}
	}
	third := fresh(random(1))
	third.Epoch = second.Epoch
	out, err := in.Take(third)
	if err != nil || !out.Gathered || out.Bits != 256 || pool.mixed != 63+3*8 {
		t.Errorf("%+v, %v, pool %+v", out, err, pool)
	}
}

// What is held when this guest begins a new life its twins hold, too.
func TestHeldBytesLoseCreditWithTheOldLife(t *testing.T) {
	in, pool := newIntake("auto")
	if out, err := in.Take(fresh(random(31))); err != nil || out.Gathered {
		t.Fatalf("%+v, %v", out, err)
	}
	in.Renew()
	if out, err := in.Take(fresh(random(31))); err != nil || out.Gathered || pool.bits != 0 || pool.mixed != 31+2*8 {
		t.Fatalf("%+v, %v, pool %+v", out, err, pool)
	}
	if out, err := in.Take(fresh(random(1))); err != nil || out.Bits != 256 || pool.mixed != 63+3*8 {
		t.Errorf("%+v, %v, pool %+v", out, err, pool)
	}
}

// While the pipe is not empty a newer epoch may be queued: all is mixed, also what
// was held, nothing is credited, and the tests go on.
func TestNoCreditWhileMoreIsQueued(t *testing.T) {
	in, pool := newIntake("auto")
	held := fresh(random(31))
	if _, err := in.Take(held); err != nil {
		t.Fatal(err)
	}
	monitor := in.monitor
	more := fresh(random(100))
	more.More = true
	if out, err := in.Take(more); err != nil || out.Gathered || out.Bits != 0 || pool.bits != 0 || pool.mixed != 131+2*8 || pool.reseeds != 1 {
		t.Errorf("more: %+v, %v, pool %+v", out, err, pool)
	}
	if in.monitor != monitor {
		t.Error("the health tests began anew")
	}
	if out, err := in.Take(fresh(random(64))); err != nil || !out.Gathered || out.Bits != 512 {
		t.Errorf("the rest: %+v, %v", out, err)
	}
}

// A batch without a whole frame has no epoch: it takes no credit from what is held
// and does not begin the health tests anew.
func TestBatchWithoutDataIsNothing(t *testing.T) {
	in, pool := newIntake("auto")
	first, second := fresh(random(16)), fresh(random(16))
	first.Epoch, second.Epoch = feed.Epoch{7}, feed.Epoch{7}
	if _, err := in.Take(first); err != nil {
		t.Fatal(err)
	}
	monitor, mixed := in.monitor, pool.mixed
	for _, b := range []feed.Batch{{Read: 10}, {Read: feed.MaxDrain, More: true}} {
		if out, err := in.Take(b); err != nil || out != (Outcome{}) || in.monitor != monitor || pool.mixed != mixed {
			t.Errorf("%+v: %+v, %v, pool %+v", b, out, err, pool)
		}
	}
	if out, err := in.Take(second); err != nil || out.Bits != 256 || !out.Gathered {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestPoolErrors(t *testing.T) {
	in, pool := newIntake("none")
	pool.reseedErr = kernelpool.ErrNotReady
	if out, err := in.Take(fresh(random(64))); err != nil || out.Gathered || !out.Unready {
		t.Errorf("not ready: %+v, %v", out, err)
	}
	pool.reseedErr = nil
	if out, err := in.Take(fresh(random(64))); err != nil || !out.Gathered || out.Unready {
		t.Errorf("ready: %+v, %v", out, err)
	}
	pool.addErr = kernelpool.ErrPermission
	if out, err := in.Take(fresh(random(64))); !errors.Is(err, kernelpool.ErrPermission) || out.Bits != 0 {
		t.Errorf("not permitted: %+v, %v", out, err)
	}
}

// Whatever comes, every byte is mixed once, credit never exceeds the claim, and no
// piece of less than MinGather bytes is credited.
func TestIntakeKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in, pool := newIntake("auto")
		sent, claimed, stamps := 0, 0, 0
		var b feed.Batch
		for range rapid.IntRange(1, 30).Draw(t, "batches") {
			data := random(rapid.IntRange(0, 80).Draw(t, "size"))
			if len(data) > 0 {
				stamps += 8
			}
			if rapid.IntRange(0, 9).Draw(t, "bad") == 0 {
				clear(data)
			}
			b = feed.Batch{Data: data, Fresh: rapid.IntRange(0, len(data)).Draw(t, "stale"), Epoch: feed.Epoch{rapid.Byte().Draw(t, "epoch") % 2}}
			b.More = rapid.IntRange(0, 9).Draw(t, "more") == 0
			b.Bits = rapid.IntRange(0, 8*(len(data)-b.Fresh)).Draw(t, "bits")
			out, err := in.Take(b)
			if err != nil {
				t.Fatal(err)
			}
			if out.Failed != nil && out.Bits != 0 {
				t.Fatalf("a failed batch was credited: %+v", out)
			}
			if b.More && out.Bits != 0 {
				t.Fatalf("%d bits were credited before the pipe was empty", out.Bits)
			}
			sent, claimed = sent+len(data), claimed+b.Bits
		}
		if pool.mixed+in.n != sent+stamps || pool.bits > claimed {
			t.Fatalf("%d mixed and %d held of %d; %d bits of %d", pool.mixed, in.n, sent+stamps, pool.bits, claimed)
		}
		for _, n := range pool.pieces {
			if n < MinGather {
				t.Fatalf("%d bytes were credited alone", n)
			}
		}
	})
}
