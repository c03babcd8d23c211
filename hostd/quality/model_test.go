package quality

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"headgate/backends/reservoir"
	"headgate/ratelimit"
)

// naive says what a guest without limits that never waits has to get, in the plainest
// way: the next bytes of the reservoir, or the next of its DRBG.
type naive struct {
	w       *tank
	quality string
	taken   int // of the stream
	drbg    *reservoir.DRBG
	buf     []byte
	seed    []byte
	made    int
	seeds   uint64
	at      time.Time
	stale   bool
}

const (
	modelInterval = time.Minute
	modelStale    = 10 * time.Minute
)

func (m *naive) draw() bool {
	m.seed = append(m.seed, m.take(reservoir.SeedSize-len(m.seed))...)
	if len(m.seed) < reservoir.SeedSize {
		return false
	}
	seed, personal := [48]byte(m.seed), personalization("web1", "8dc0b7a4")
	if m.drbg == nil {
		m.drbg = reservoir.NewDRBG(&seed, &personal)
	} else {
		m.drbg.Reseed(&seed)
	}
	m.seed, m.buf, m.made, m.at, m.stale = nil, nil, 0, time.Now(), false
	m.seeds++
	return true
}

// take is n bytes or, as a tap has it, nothing.
func (m *naive) take(n int) []byte {
	if n == 0 || len(m.w.stream)-m.taken < min(n, ratelimit.Quantum) {
		return nil
	}
	n = min(n, len(m.w.stream)-m.taken)
	p := m.w.stream[m.taken:][:n]
	m.taken += n
	return p
}

func (m *naive) usable() bool { return m.drbg != nil && !m.stale }

func (m *naive) due() bool {
	return m.made >= MinReseedBytes || time.Since(m.at) >= modelInterval
}

func (m *naive) generated(n int) []byte {
	if !m.usable() && !m.draw() {
		return nil
	}
	if m.due() && !m.draw() && time.Since(m.at) >= modelStale {
		m.stale = true
		return nil
	}
	n = min(n, reservoir.MaxGenerate)
	if n >= buffered {
		p := make([]byte, n)
		_ = m.drbg.Generate(p)
		m.made += n
		return p
	}
	var p []byte
	for len(p) < n {
		if len(m.buf) == 0 {
			m.buf = make([]byte, buffered)
			_ = m.drbg.Generate(m.buf)
			m.made += buffered
		}
		next := min(n-len(p), len(m.buf))
		p, m.buf = append(p, m.buf[:next]...), m.buf[next:]
	}
	return p
}

func (m *naive) read(n int) (p []byte, full bool) {
	switch m.quality {
	case Full:
		return m.take(n), true
	case DRBG:
		return m.generated(n), false
	}
	if !m.usable() || m.made > 0 && m.due() {
		m.draw()
	}
	if p = m.take(n); p != nil {
		return p, true
	}
	return m.generated(n), false
}

func (m *naive) set(quality string) {
	if m.quality = quality; quality == Full {
		m.drbg, m.buf, m.seed, m.made, m.stale = nil, nil, nil, 0, false
	}
}

// TestAgainstNaive reads, pours, waits and switches at random. The supply always has
// some bytes or none at all, so that no turn is noted: what becomes of those is
// ratelimit's, and tested above.
func TestAgainstNaive(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newTank(4096, ratelimit.Options{})
			tap := outlet(t, w, "web1", Config{
				Quality: Full, ReseedBytes: MinReseedBytes, ReseedInterval: modelInterval, MaxStale: modelStale,
			}, nil)
			m := &naive{w: w, quality: Full}
			for range rapid.IntRange(1, 60).Draw(rt, "steps") {
				switch rapid.IntRange(0, 5).Draw(rt, "step") {
				case 0:
					time.Sleep(time.Duration(rapid.IntRange(1, 120).Draw(rt, "seconds")) * time.Second)
				case 1:
					q := rapid.SampledFrom(qualities).Draw(rt, "quality")
					tap.Set(Config{Quality: q, ReseedBytes: MinReseedBytes, ReseedInterval: modelInterval, MaxStale: modelStale})
					m.set(q)
				default:
					if w.Level() < 1024 {
						w.pour(4096)
					}
					n := rapid.SampledFrom([]int{1, 16, 64, 100, 512, 4095, 4096, 10_000, 65_536, 70_000}).Draw(rt, "size")
					p := make([]byte, n)
					got, full := tap.TryReadGraded(p)
					want, wantFull := m.read(n)
					if !bytes.Equal(p[:got], want) || got > 0 && full != wantFull {
						rt.Fatalf("%s: %d of %d bytes, full %v; want %d, full %v", m.quality, got, n, full, len(want), wantFull)
					}
				}
				if s := tap.Stats(); s.Seeds != m.seeds || s.Stale != m.stale || s.Full.Bytes+s.SeedBytes != uint64(m.taken) {
					rt.Fatalf("%+v; want %d seeds, stale %v, %d bytes taken", s, m.seeds, m.stale, m.taken)
				}
			}
			_ = tap.Close()
		})
	})
}
