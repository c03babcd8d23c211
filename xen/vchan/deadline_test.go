package vchan

import (
	"errors"
	"os"
	"testing"
	"time"
)

func TestDeadlines(t *testing.T) {
	both(t, func(t *testing.T, v *two, near, far *Conn) {
		expired := func(what string, r result) {
			t.Helper()
			if !errors.Is(r.err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: %v", what, r)
			}
		}
		// Set before, set while both wait, and in the past.
		must(t, near.SetReadDeadline(time.Now().Add(5*time.Millisecond)))
		expired("read", await(t, later(func() (int, error) { return near.Read(make([]byte, 1)) })))
		must(t, near.SetReadDeadline(time.Time{}))
		read, write := waiting(t, near)
		must(t, near.SetWriteDeadline(time.Now().Add(5*time.Millisecond)))
		expired("write", await(t, write))
		asleep(t, near, 1)
		must(t, near.SetReadDeadline(time.Now().Add(-time.Second)))
		expired("read", await(t, read))
		// The one that leads ends; the other goes on, and leads.
		must(t, near.SetDeadline(time.Time{}))
		read, write = waiting(t, near)
		must(t, near.SetReadDeadline(time.Now()))
		expired("read", await(t, read))
		asleep(t, near, 1)
		p := make([]byte, 4096)
		go func() {
			for { // until closed
				if _, err := far.Read(p); err != nil {
					return
				}
			}
		}()
		if r := await(t, write); r.err != nil || r.n != 1<<20 {
			t.Error(r)
		}
		// Moved away before it came.
		must(t, near.SetReadDeadline(time.Now().Add(20*time.Millisecond)))
		must(t, near.SetReadDeadline(time.Now().Add(time.Hour)))
		read = later(func() (int, error) { return near.Read(make([]byte, 1)) })
		select {
		case r := <-read:
			t.Error(r)
		case <-time.After(50 * time.Millisecond):
		}
		if _, err := far.Write([]byte{1}); err != nil {
			t.Error(err)
		}
		if r := await(t, read); r.err != nil || r.n != 1 {
			t.Error(r)
		}
		must(t, near.Close()) // ends the reader above
		must(t, far.Close())
	})
}
