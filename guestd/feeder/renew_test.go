//go:build linux

package feeder

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"headgate/guestd/kernelpool"
	"headgate/guestd/pipe"
	"headgate/guestd/sign"
	"headgate/wire/feed"
)

func newSign(reason, mix string) sign.Sign {
	s := sign.Sign{Reason: reason}
	s.N = copy(s.Mix[:], mix)
	return s
}

// A sign is acted on before the host answers, and again with what it answers.
func TestSignReseedsAtOnceAndWithFreshBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newFake(pipe.PortKind, false)
		b := newBench(p)
		b.during(t, func() {
			p.batches <- fresh(random(64)) // the answer at the start
			synctest.Wait()
			mixed, bits := b.pool.mixed, b.pool.bits
			b.signs <- newSign(feed.ReasonVMGenID, "new id")
			synctest.Wait()
			if b.pool.reseeds != 2 || b.pool.bits != bits || b.pool.mixed != mixed+8+6 || !bytes.HasSuffix(b.pool.last, []byte("new id")) {
				t.Errorf("at once: %d reseeds, %d bytes mixed, %d bits", b.pool.reseeds, b.pool.mixed-mixed, b.pool.bits)
			}
			if p.requests() != 2 || p.renewed != 2 {
				t.Errorf("asked %d times, renewed before request %d", p.requests(), p.renewed)
			}
			p.batches <- fresh(random(64))
			synctest.Wait()
			p.batches <- fresh(random(64)) // nobody knows why
		})
		r := b.state.Load()
		if len(p.reports) != 3 || p.reports[1].Reason != feed.ReasonVMGenID || p.reports[2].Reason != feed.ReasonInterval {
			t.Errorf("reports %+v", p.reports)
		}
		if got := strings.Join(b.fresh, " "); got != "start vmgenid interval" || r.Reseeds != 3 {
			t.Errorf("fresh: %s; %+v", got, *r)
		}
		if r.Kind != "port" || r.Clones != "push on the port; a sign" {
			t.Errorf("%+v", *r)
		}
	})
}

// Though the host is away clones differ at once; its bytes go in when it is back, and
// the reason is still that of the sign.
func TestSignWhileTheHostIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newFake(pipe.PortKind, true)
		b := newBench(p)
		b.during(t, func() {
			p.away.Store(true)
			b.signs <- newSign(feed.ReasonFork, "")
			b.signs <- newSign(feed.ReasonPeers, "")
			synctest.Wait()
			if b.pool.reseeds != 3 || b.state.Load().Reseeds != 1 || !strings.Contains(b.state.Load().Error, "nobody listens") {
				t.Errorf("away: %d reseeds, %+v", b.pool.reseeds, *b.state.Load())
			}
			time.Sleep(10 * time.Second)
			p.away.Store(false)
			push := fresh(random(64))
			push.Pushed, push.Epoch = true, feed.Epoch{9}
			p.batches <- push
		})
		if r := b.state.Load(); r.Reason != feed.ReasonFork || r.Reseeds != 2 || p.reports[1].Reason != feed.ReasonFork {
			t.Errorf("%+v, reports %+v", *r, p.reports)
		}
	})
}

// Of what /dev/hwrng brings after a sign only what lies behind that of before counts.
func TestSignDiscardsWhatTheDeviceHolds(t *testing.T) {
	const held = 128 // bytes between the host and a reader
	root := t.TempDir()
	for name, text := range map[string]string{
		"/dev/hwrng":                            string(random(64 + held + 64)),
		"/sys/class/misc/hw_random/rng_current": "virtio_rng.0",
	} {
		if err := os.MkdirAll(filepath.Dir(root+name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(root+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		place := pipe.Place{Root: root}
		b := newBench()
		b.Open = func(k pipe.Kind) (pipe.Pipe, error) {
			if k != pipe.HWRNGKind {
				return nil, pipe.ErrNone
			}
			return place.Open(k)
		}
		b.during(t, func() {
			b.signs <- newSign(feed.ReasonPeers, "")
			synctest.Wait()
			all, err := os.ReadFile(root + "/dev/hwrng")
			if err != nil || !bytes.Equal(b.pool.last, all[64+held:]) {
				t.Errorf("the last %d bytes were not those behind what was held, %v", len(b.pool.last), err)
			}
		})
		if n := len(b.pool.pieces); n != 2 || b.pool.pieces[1] != 64 || b.pool.bits != 2*512 || b.pool.mixed != 3*8+64+held+64 {
			t.Errorf("credited pieces of %v bytes, %d bits, %d bytes mixed", b.pool.pieces, b.pool.bits, b.pool.mixed)
		}
		if got := strings.Join(b.fresh, " "); got != "start peers" {
			t.Errorf("fresh: %s", got)
		}
	})
}

// What a host owed to the guest that was saved it does not owe to this one: it is asked
// again, and the next pipe, too, if it stays silent.
func TestSignForgetsWhatIsOwed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		port, rng := newFake(pipe.PortKind, false), newFake(pipe.HWRNGKind, true)
		b := newBench(port, rng)
		b.during(t, func() {
			time.Sleep(10 * time.Second)
			if port.requests() != 1 || rng.requests() != 1 {
				t.Fatalf("asked %d and %d times", port.requests(), rng.requests())
			}
			b.signs <- newSign(feed.ReasonClock, "")
			time.Sleep(2 * grace)
		})
		if port.requests() != 2 || rng.requests() != 2 || b.state.Load().Reason != feed.ReasonClock {
			t.Errorf("asked %d and %d times, %+v", port.requests(), rng.requests(), *b.state.Load())
		}
	})
}

// Signs without end are taken in a burst and then one a second; and so the host is asked.
func TestEndlessSignsArePaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newFake(pipe.PortKind, true)
		b := newBench(p)
		b.during(t, func() {
			end := time.After(10*time.Second + time.Millisecond)
			for taken := 0; ; taken++ {
				select {
				case b.signs <- newSign(feed.ReasonPeers, ""):
					continue
				case <-end:
				}
				if taken < paceBurst+10 || taken > paceBurst+11 || p.requests() > taken+1 {
					t.Errorf("took %d signs in 10 s, and asked %d times", taken, p.requests())
				}
				return
			}
		})
	})
}

// A kernel before 4.17 cannot be told to reseed, and is fed all the same.
func TestKernelThatCannotBeTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newFake(pipe.PortKind, true)
		b := newBench(p)
		b.pool.reseedErr = kernelpool.ErrUnsupported
		b.during(t, func() { b.signs <- newSign(feed.ReasonPeers, "") })
		if r := b.state.Load(); r.Reseeds != 2 || r.Bits != 2*512 || r.Reason != feed.ReasonPeers {
			t.Errorf("%+v", *r)
		}
	})
}

// Before the first seed a sign adds nothing to the reason, nor is it an error.
func TestSignBeforeTheFirstSeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newFake(pipe.PortKind, false)
		b := newBench(p)
		b.pool.needs.Store(256)
		b.during(t, func() {
			b.signs <- newSign(feed.ReasonPeers, "")
			synctest.Wait()
			p.batches <- fresh(random(64))
		})
		if r := b.state.Load(); r.Reason != feed.ReasonStart || b.pool.reseeds != 1 {
			t.Errorf("%+v, %d reseeds", *r, b.pool.reseeds)
		}
	})
}

// A push that fails a health test is no fresh seed: the host is told, and is asked at
// once for what makes up for it, which counts as the push.
func TestFailedPushIsMadeUpFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newFake(pipe.PortKind, true)
		b := newBench(p)
		b.during(t, func() {
			push := fresh(make([]byte, 64))
			push.Pushed = true
			p.batches <- push
		})
		var told []string
		for _, r := range p.reports {
			told = append(told, r.Reason)
		}
		if got := strings.Join(told, " "); got != "start health push" || b.pool.reseeds != 3 || p.requests() != 2 {
			t.Errorf("told %q, asked %d times, %d reseeds", got, p.requests(), b.pool.reseeds)
		}
	})
}
