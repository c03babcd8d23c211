package xen

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"headgate/wire/pipe"
)

func TestAChannelWhoseBackendComesLaterAndRestarts(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "channel.sock")
	events := make(chan pipe.Event, 100)
	c := NewChannel(path, Options{Tap: new(tap), Notify: func(e pipe.Event) { events <- e }})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	until(t, "trouble", func() bool { return strings.Contains(c.Trouble(), "is the domain up") })
	for range 2 {
		l := listen(t, path)
		began := time.Now()
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d > 2*time.Second {
			t.Errorf("connected after %v", d)
		}
		until(t, "no trouble", func() bool { return c.Trouble() == "" && c.Stats().Connected })
		l.Close()
		conn.Close()
		until(t, "trouble", func() bool { return c.Trouble() != "" && !c.Stats().Connected })
	}
	// A backend that hangs up at once is not connected to as fast as it can.
	l := listen(t, path)
	defer l.Close()
	time.AfterFunc(time.Second, func() { l.Close() })
	n := 0
	for ; ; n++ {
		conn, err := l.Accept()
		if err != nil {
			break
		}
		conn.Close()
	}
	if n > 8 {
		t.Errorf("%d connections in a second", n)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, "nobody listens", func() bool { return strings.Contains(c.Trouble(), "nobody listens") })
}
