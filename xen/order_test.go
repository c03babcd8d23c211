package xen

import (
	"io"
	"io/fs"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"headgate/wire/pipe"
	"headgate/xen/vchan"
)

// mooring counts what is mapped.
type mooring struct {
	io.ReadWriteCloser
	mapped *atomic.Int32
	once   sync.Once
}

func (m *mooring) Close() error {
	m.once.Do(func() { m.mapped.Add(-1) })
	return m.ReadWriteCloser.Close()
}

// Whatever happens in whatever order: Connected and the two that end it alternate and
// say how it is, each newcomer counts as unseeded once, and nothing stays mapped of a
// domain that has gone.
func TestEveryOrderOfThings(t *testing.T) {
	for seed := range uint64(150) {
		rnd, connects := rand.New(rand.NewPCG(seed, 0)), rand.New(rand.NewPCG(seed, 1))
		var mapped atomic.Int32
		d := newDock()
		inBerth(t, func(domid uint16, o vchan.Offer) (io.ReadWriteCloser, error) {
			what := connects.IntN(10)
			if what < 3 {
				time.Sleep(time.Duration(connects.IntN(int(3 * parting))))
			}
			if what%5 == 0 {
				return nil, fs.ErrNotExist
			}
			conn, _ := d.connect(domid, o)
			<-d.asked
			if what == 1 {
				conn = broken{conn}
			}
			mapped.Add(1)
			return &mooring{ReadWriteCloser: conn, mapped: &mapped}, nil
		}, func(t *testing.T, b *berth) {
			connected, came, generation := false, int32(0), uint64(0)
			for range 100 {
				generation++
				switch id := uint16(5 + rnd.IntN(5)/4); rnd.IntN(8) {
				case 0, 1:
					b.Offer(offer(id, 9+rnd.IntN(2), generation))
				case 2, 3:
					b.Await(id)
				case 4:
					b.Withdraw()
				case 5:
					if len(d.ends) > 0 {
						(<-d.ends).Close()
					}
				default:
					time.Sleep(time.Duration(rnd.IntN(int(2 * parting))))
				}
				if rnd.IntN(3) == 0 {
					continue // the next at once
				}
				synctest.Wait()
				for len(b.events) > 0 {
					switch e := <-b.events; e.Kind {
					case pipe.Connected:
						came++
						fallthrough
					case pipe.Disconnected, pipe.Broken:
						if connected == (e.Kind == pipe.Connected) {
							t.Fatalf("seed %d: event %d, connected %v", seed, e.Kind, connected)
						}
						connected = !connected
					}
				}
				if b.Stats().Connected != connected || b.tap.fresh.Load() != came {
					t.Fatalf("seed %d: %+v, connected %v, %d of %d unseeded", seed, b.Stats(), connected, b.tap.fresh.Load(), came)
				}
			}
			b.Withdraw()
			time.Sleep(3 * parting) // one may be mapped just now
			synctest.Wait()
			if n := mapped.Load(); n != 0 {
				t.Errorf("seed %d: %d are mapped", seed, n)
			}
			for len(d.ends) > 0 {
				(<-d.ends).Close()
			}
		})
	}
}
