package xen

import (
	"bytes"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// A guest that writes without end is read at a bounded rate; whoever reads what it is
// sent is not.
func TestAFloodIsReadSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		c := newThrift(ours)
		go func() {
			for {
				if _, err := theirs.Write(bytes.Repeat([]byte{1}, 100)); err != nil {
					return
				}
			}
		}()
		read, waits, began := 0, 0, time.Now()
		p := make([]byte, 256)
		for time.Since(began) < time.Minute {
			before := time.Now()
			n, err := c.Read(p)
			if err != nil {
				t.Fatal(err)
			}
			read += n
			if time.Since(before) > 0 {
				waits++
			}
		}
		if most := (2*thriftBurst + 60*thriftRate) / thriftByte; read > most || read < most/4 {
			t.Errorf("read %d bytes in a minute", read)
		}
		if waits > 5*60 {
			t.Errorf("woken %d times in a minute", waits)
		}
		go func() { time.Sleep(time.Microsecond); c.Close() }()
		var err error
		for err == nil {
			_, err = c.Read(p)
		}
		if time.Since(began) > time.Minute+time.Second {
			t.Error("Close does not wake it")
		}
	})
}

// Requests of a byte each, each answered at once, are a flood, too.
func TestSmallRequestsAreReadSlowly(t *testing.T) {
	const enough = 10_000
	for _, c := range []struct{ asked, most, least int }{{1, 60 * 100, 60 * 10}, {64, 1 << 20, enough}} {
		synctest.Test(t, func(t *testing.T) {
			ours, theirs := net.Pipe()
			conn := newThrift(ours)
			answered := 0
			go func() {
				var b [24]byte // a request's frame
				for {
					if _, err := io.ReadFull(conn, b[:]); err != nil {
						return
					}
					if _, err := conn.Write(make([]byte, 24+c.asked)); err != nil { // a grant's
						return
					}
				}
			}()
			for began := time.Now(); time.Since(began) < time.Minute && answered < enough; answered++ {
				if _, err := theirs.Write(make([]byte, 24)); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(theirs, make([]byte, 24+c.asked)); err != nil {
					t.Fatal(err)
				}
			}
			conn.Close()
			synctest.Wait()
			if answered > c.most || answered < c.least {
				t.Errorf("%d requests for %d bytes answered", answered, c.asked)
			}
		})
	}
}
