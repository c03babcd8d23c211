package vchan

import (
	"testing"
	"time"
)

// The peer moves after a half has looked and before it follows: the one event that
// tells of it goes to the leader, when nobody follows yet.
func TestAnEventBetweenTheLookAndTheWait(t *testing.T) {
	both(t, func(t *testing.T, v *two, near, far *Conn) {
		read := later(func() (int, error) { return near.Read(make([]byte, 1)) })
		asleep(t, near, 1)
		size := len(near.out.buf)
		if _, err := near.Write(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		bell, look, first := near.bell.(*fakeBell), near.writer.ready, true
		near.writer.ready = func() bool {
			now := look()
			if first {
				first = false
				waits := bell.waits.Load()
				if _, err := far.Read(make([]byte, size)); err != nil {
					t.Error(err)
				}
				for bell.waits.Load() == waits {
					time.Sleep(100 * time.Microsecond) // the leader has had the event
				}
			}
			return now
		}
		if r := await(t, later(func() (int, error) { return near.Write([]byte{1}) })); r.n != 1 || r.err != nil {
			t.Error(r)
		}
		must(t, near.Close())
		await(t, read)
	})
}

// A peer that reads byte by byte out of a full ring, and tells of each.
func TestAPeerThatReadsByteByByte(t *testing.T) {
	v := newTwo(t, 0, 0)
	bell, p := v.client.bell.(*fakeBell), make([]byte, 1)
	if _, err := v.client.Write(make([]byte, len(v.client.out.buf))); err != nil {
		t.Fatal(err)
	}
	const size = 512
	write := later(func() (int, error) { return v.client.Write(make([]byte, size)) })
	asleep(t, v.client, 1)
	for range size {
		waits := bell.waits.Load()
		if _, err := v.server.Read(p); err != nil {
			t.Fatal(err)
		}
		for i := 0; bell.waits.Load() == waits && i < 3; i++ {
			time.Sleep(time.Microsecond) // until it waits again, unless it takes its time
		}
	}
	if n := bell.waits.Load(); n > size/4 {
		t.Errorf("woken %d times for %d bytes", n, size)
	}
	if r := await(t, write); r.n != size || r.err != nil {
		t.Error(r)
	}
}
