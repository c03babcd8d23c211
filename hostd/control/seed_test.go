package control

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"
)

func TestSeeds(t *testing.T) {
	f := fake()
	c, _ := serve(t, f)
	for n := uint64(1); n <= 2; n++ {
		var seed [SeedSize]byte
		count, err := c.Seed(t.Context(), SeedRequest{"web1", SeedFile}, &seed)
		if err != nil || count != n || !bytes.Equal(seed[:], bytes.Repeat([]byte{byte(n)}, SeedSize)) {
			t.Errorf("seed %d: %x, %d, %v", n, seed[:4], count, err)
		}
	}
	for r, say := range map[SeedRequest]string{
		{"", SeedFile}:           "no name is given",
		{"../x", SeedFile}:       "allowed: 1 to 63 letters",
		{"web1", "sticky notes"}: `invalid as "sticky notes": allowed: file, cloud-init or root`,
	} {
		var seed [SeedSize]byte
		if _, err := c.Seed(t.Context(), r, &seed); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), say) {
			t.Errorf("%+v: %v", r, err)
		}
	}
	if s := f.Status(); s.SeedsGiven != 2 || len(f.Seeds) != 2 {
		t.Errorf("%d given: %v", s.SeedsGiven, f.Seeds)
	}
}

// TestSeedEndsWithTheClientAndTheDaemon: there may be no entropy for as long as both
// are there.
func TestSeedEndsWithTheClientAndTheDaemon(t *testing.T) {
	f := fake()
	f.Stall = true
	c, _, stop := serveUntil(t, f)
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errors.New("too long"))
	defer cancel()
	var seed [SeedSize]byte
	if _, err := c.Seed(ctx, SeedRequest{"web1", SeedFile}, &seed); err == nil || err.Error() != "too long" {
		t.Errorf("waited for: %v", err)
	}
	time.AfterFunc(50*time.Millisecond, stop)
	if _, err := c.Seed(t.Context(), SeedRequest{"web1", SeedFile}, &seed); err == nil || !strings.Contains(err.Error(), "stop") {
		t.Errorf("of a daemon that stops: %v", err)
	}
	c = Dial(t.TempDir() + "/none")
	if _, err := c.Seed(t.Context(), SeedRequest{"web1", SeedFile}, &seed); err == nil || !strings.Contains(err.Error(), "start it with") {
		t.Errorf("of no daemon: %v", err)
	}
}

// TestHalfASeedIsNone: a daemon that dies in the middle has given nothing.
func TestHalfASeedIsNone(t *testing.T) {
	path := t.TempDir() + "/c.sock"
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = bufio.NewReader(conn).ReadString('}')
		_, _ = conn.Write(append([]byte("HTTP/1.1 200 OK\r\nContent-Length: 512\r\nHeadgate-Seeds: 1\r\n\r\n"), bytes.Repeat([]byte{7}, 256)...))
	}()
	var seed [SeedSize]byte
	if _, err := Dial(path).Seed(t.Context(), SeedRequest{"web1", SeedFile}, &seed); err == nil || !strings.Contains(err.Error(), "has stopped") {
		t.Error(err)
	}
	if seed != [SeedSize]byte{} {
		t.Error("what came of it is left in memory")
	}
}

func TestTheReadersBufferIsWiped(t *testing.T) {
	r := bufio.NewReaderSize(bytes.NewReader(bytes.Repeat([]byte{7}, 100)), 64)
	_, _ = r.Read(make([]byte, 10))
	wipe(r)
	held, err := r.Peek(64)
	if err != nil || !bytes.Equal(held, make([]byte, 64)) {
		t.Errorf("%v, %v", held, err)
	}
}

// TestSeedsFreeTheirConnections: one that is hijacked counts among maxConns until it
// is closed.
func TestSeedsFreeTheirConnections(t *testing.T) {
	c, _ := serve(t, fake())
	for range maxConns + 8 {
		var seed [SeedSize]byte
		if _, err := c.Seed(t.Context(), SeedRequest{"web1", SeedFile}, &seed); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCaptureRestarts(t *testing.T) {
	c, _ := serve(t, fake())
	var out bytes.Buffer
	if err := c.CaptureRestarts(t.Context(), "trng0", 5, 300, &out); err != nil || out.Len() != 1500 || out.Bytes()[1200] != 4 {
		t.Errorf("%d bytes: %v", out.Len(), err)
	}
	for query, say := range map[string]string{
		"restarts=0": "restarts: a whole number from 1 to 10000", "restarts=10001": "from 1 to 10000",
		"restarts=2&n=0": "n: a whole number from 1 to 1048576", "restarts=10000&n=107375": "from 1 to 107374",
	} {
		if _, err := c.send(t.Context(), "GET", "/v1/sources/trng0/capture?"+query, nil); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), say) {
			t.Errorf("%s: %v", query, err)
		}
	}
	if err := c.CaptureRestarts(t.Context(), "dice", 5, 300, &out); !errors.Is(err, ErrNotFound) {
		t.Errorf("of no source: %v", err)
	}
}
