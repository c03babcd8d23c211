package daemon

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const staleSoon = `
[reservoir]
size = "4KiB"
boot_reserve = "64B"
[[source]]
name = "tap"
type = "file"
path = "DIR/noise"
min_entropy = 8
[[class]]
name = "drain"
rate = "unlimited"
weight = 1000
[[class]]
name = "soon"
rate = "unlimited"
quality = "drbg"
reseed_interval = "1s"
max_stale = "1s"
[[guest]]
name = "thirsty"
class = "drain"
pipes = ["egd:DIR/thirsty"]
[[guest]]
name = "web1"
class = "soon"
pipes = ["egd:DIR/web1"]
`

// TestADRBGStopsWithItsSources: when they have given nothing for max_stale its guest
// waits, which the status, the event log and the metrics' figure say; when they give
// again it goes on, without anybody's doing.
func TestADRBGStopsWithItsSources(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "noise")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	noise, err := os.OpenFile(path, os.O_RDWR, 0) // both ends, so that it never ends
	if err != nil {
		t.Fatal(err)
	}
	defer noise.Close()
	pour := func(n int) {
		t.Helper()
		b := make([]byte, n)
		_, _ = rand.Read(b)
		if _, err := noise.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	r := start(t, dir, staleSoon)
	pour(16 << 10)
	conn := r.dial("web1")
	ask(t, conn, 1000)
	if g := r.guest("web1"); g.DRBG.Stale || g.DRBG.Seeds == 0 || g.BytesDRBG != 1000 || g.BytesFull != 0 {
		t.Fatalf("%+v, %+v", g, g.DRBG)
	}
	drain(t, r)
	deadline := time.Now().Add(20 * time.Second)
	for !r.guest("web1").DRBG.Stale {
		if time.Now().After(deadline) {
			t.Fatalf("%+v", r.guest("web1").DRBG)
		}
		// What it has had already it gets before that.
		if _, err := conn.Write([]byte{0x01, 64}); err != nil {
			t.Fatal(err)
		}
		var n [1]byte
		if _, err := conn.Read(n[:]); err != nil {
			t.Fatal(err)
		}
		for got := 0; got < int(n[0]); {
			m, err := conn.Read(make([]byte, int(n[0])-got))
			if err != nil {
				t.Fatal(err)
			}
			got += m
		}
		time.Sleep(5 * time.Millisecond)
	}
	if said := r.said("drbg_stale"); len(said) == 0 || said[0].Subject != "web1" {
		t.Errorf("%+v", said)
	}
	given := r.guest("web1").Bytes
	if _, err := conn.Write([]byte{0x02, 64}); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if n, err := conn.Read(make([]byte, 64)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("it got %d bytes of a stale DRBG: %v", n, err)
	}
	if g := r.guest("web1"); g.Bytes != given || !g.Waiting {
		t.Errorf("%+v", g)
	}
	pour(32 << 10) // the thirsty one takes of it, too
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := conn.Read(make([]byte, 64)); err != nil {
		t.Fatalf("it does not go on: %v", err)
	}
	r.until("recovered", func() bool {
		return !r.guest("web1").DRBG.Stale && len(r.said("drbg_recovered")) == len(r.said("drbg_stale"))
	})
}

// drain takes all that the reservoir has, and goes on asking.
func drain(t *testing.T, r *rig) {
	t.Helper()
	conn := r.dial("thirsty")
	_ = conn.SetDeadline(time.Time{})
	go func() {
		buf := make([]byte, 255)
		for {
			if _, err := conn.Write([]byte{0x02, 255}); err != nil {
				return
			}
			for n := 0; n < len(buf); {
				m, err := conn.Read(buf[n:])
				if err != nil {
					return
				}
				n += m
			}
		}
	}()
}
