package vchan

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"headgate/wire/wiretest"
)

// Both directions at once, in pieces of many sizes, every byte checked.
func TestBothDirections(t *testing.T) {
	both(t, func(t *testing.T, v *two, near, far *Conn) {
		const total = 1 << 20
		var wg sync.WaitGroup
		for i, c := range []*Conn{near, far} {
			from := uint64(i) << 32
			wg.Go(func() {
				p := make([]byte, 5000)
				for sent, n := 0, 1; sent < total; n = n*7%4999 + 1 {
					k := min(n, total-sent)
					wiretest.Pattern(p[:k], from+uint64(sent))
					if _, err := c.Write(p[:k]); err != nil {
						t.Error(err)
						return
					}
					sent += k
				}
			})
			to := uint64(1-i) << 32
			wg.Go(func() {
				got, want := make([]byte, 3001), make([]byte, 3001)
				for read := 0; read < total; {
					n, err := c.Read(got[:1+read%3000])
					wiretest.Pattern(want[:n], to+uint64(read))
					if err != nil || !bytes.Equal(got[:n], want[:n]) {
						t.Errorf("after %d bytes: %v, or wrong bytes", read, err)
						return
					}
					read += n
				}
			})
		}
		wg.Wait()
		for i, b := range v.mem[1024:] { // in the small layout, rings from there on
			if len(v.mem) == 4096 && b != 0 {
				t.Fatalf("byte %d is left in the page", 1024+i)
			}
		}
	})
}

// Requests and answers of 64 bytes: every wake-up counts, none may be lost.
func TestNoWakeUpIsLost(t *testing.T) {
	both(t, func(t *testing.T, v *two, near, far *Conn) {
		done := later(func() (int, error) {
			p := make([]byte, 64)
			for {
				if _, err := io.ReadFull(far, p); err != nil {
					return 0, err
				}
				if _, err := far.Write(p); err != nil {
					return 0, err
				}
			}
		})
		p := make([]byte, 64)
		must(t, near.SetDeadline(time.Now().Add(soon)))
		for i, end := 0, time.Now().Add(100*time.Millisecond); time.Now().Before(end); i++ {
			if _, err := near.Write(p); err != nil {
				t.Fatal(i, err)
			}
			if _, err := io.ReadFull(near, p); err != nil {
				t.Fatal(i, err)
			}
		}
		must(t, near.Close())
		if r := await(t, done); !errors.Is(r.err, io.EOF) && !errors.Is(r.err, syscall.EPIPE) {
			t.Error(r.err)
		}
	})
}

func TestServerWaitsForItsClient(t *testing.T) {
	v := offered(t, 0, 0)
	p := make([]byte, 8)
	r := later(func() (int, error) { return v.server.Read(p) })
	asleep(t, v.server, 1)
	if _, err := v.server.Write([]byte("welcome")); err != nil {
		t.Fatal(err)
	}
	v.connect(t)
	asleep(t, v.server, 1)
	q := make([]byte, 8)
	if n, err := v.client.Read(q); err != nil || string(q[:n]) != "welcome" {
		t.Fatal(n, err)
	}
	if _, err := v.client.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if got := await(t, r); got.err != nil || string(p[:got.n]) != "hello" {
		t.Fatal(got)
	}
}

func TestEndIsSeenAfterTheLastByte(t *testing.T) {
	both(t, func(t *testing.T, v *two, near, far *Conn) {
		if _, err := far.Write([]byte("last")); err != nil {
			t.Fatal(err)
		}
		must(t, far.Close())
		if n, err := near.Write([]byte("x")); n != 0 || !errors.Is(err, syscall.EPIPE) {
			t.Fatal(n, err)
		}
		p := make([]byte, 3)
		for _, want := range []string{"las", "t"} {
			if n, err := near.Read(p); err != nil || string(p[:n]) != want {
				t.Fatal(n, err)
			}
		}
		for range 2 {
			if n, err := near.Read(p); n != 0 || err != io.EOF { //nolint:errorlint // io.Reader's promise is the bare one
				t.Fatal(n, err)
			}
		}
	})
}

// waiting has near's Read and Write wait, and returns them.
func waiting(t *testing.T, near *Conn) (read, write <-chan result) {
	t.Helper()
	read = later(func() (int, error) { return near.Read(make([]byte, 1)) })
	asleep(t, near, 1)
	write = later(func() (int, error) { return near.Write(make([]byte, 1<<20)) })
	asleep(t, near, 2)
	return read, write
}

func TestPeersEndWakesBoth(t *testing.T) {
	both(t, func(t *testing.T, v *two, near, far *Conn) {
		read, write := waiting(t, near)
		must(t, far.Close())
		if r := await(t, read); r.n != 0 || !errors.Is(r.err, io.EOF) {
			t.Error(r)
		}
		if r := await(t, write); r.n == 0 || !errors.Is(r.err, syscall.EPIPE) {
			t.Error(r)
		}
	})
}

func TestCloseWakesBoth(t *testing.T) {
	both(t, func(t *testing.T, v *two, near, far *Conn) {
		read, write := waiting(t, near)
		must(t, near.Close())
		for _, c := range []<-chan result{read, write} {
			if r := await(t, c); !errors.Is(r.err, os.ErrClosed) {
				t.Error(r)
			}
		}
		if v.freed.Load() != 1 {
			t.Errorf("given back %d times", v.freed.Load())
		}
		for _, f := range []func() error{
			near.Close,
			func() error { _, err := near.Read(nil); return err },
			func() error { _, err := near.Write(nil); return err },
			func() error { return near.SetDeadline(time.Now()) },
		} {
			if err := f(); !errors.Is(err, os.ErrClosed) {
				t.Error(err)
			}
		}
		if v.freed.Load() != 1 {
			t.Errorf("given back %d times", v.freed.Load())
		}
	})
}

// What a peer wrote and nobody read is not left behind; what we wrote is.
func TestCloseForgetsWhatWasNotRead(t *testing.T) {
	both(t, func(t *testing.T, v *two, near, far *Conn) {
		secret := bytes.Repeat([]byte{0xa5}, 900)
		if _, err := far.Write(secret); err != nil {
			t.Fatal(err)
		}
		if _, err := near.Write([]byte("goodbye")); err != nil {
			t.Fatal(err)
		}
		must(t, near.Close())
		if bytes.Contains(v.mem, secret[:1]) {
			t.Error("bytes are left in the page")
		}
		p := make([]byte, 10)
		if n, err := far.Read(p); err != nil || string(p[:n]) != "goodbye" {
			t.Error(n, err)
		}
	})
}

func TestReadAndWriteDoNotAllocate(t *testing.T) {
	both(t, func(t *testing.T, v *two, near, far *Conn) {
		p := make([]byte, 64)
		n := testing.AllocsPerRun(100, func() {
			if _, err := near.Write(p); err != nil {
				t.Fatal(err)
			}
			if _, err := far.Read(p); err != nil {
				t.Fatal(err)
			}
		})
		if n != 0 {
			t.Errorf("%g allocations", n)
		}
	})
}

func TestABrokenBellEndsTheConn(t *testing.T) {
	both(t, func(t *testing.T, v *two, near, far *Conn) {
		read, write := waiting(t, near)
		var why error = syscall.EINVAL
		near.bell.(*fakeBell).err.Store(&why)
		must(t, far.bell.ring())
		for _, c := range []<-chan result{read, write} {
			if r := await(t, c); !errors.Is(r.err, syscall.EINVAL) {
				t.Error(r)
			}
		}
		if _, err := near.Write([]byte{1}); !errors.Is(err, syscall.EINVAL) {
			t.Error(err)
		}
	})
}
