package pipe

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// until waits until the trouble is one that has these words in it, or none.
func until(t *testing.T, r *Redial, words string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); words == "" && r.Trouble() != "" || !strings.Contains(r.Trouble(), words); {
		if time.Now().After(deadline) {
			t.Fatalf("trouble %q, want %q", r.Trouble(), words)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestRedialSaysWhyAndConnectsOnceSomebodyListens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	r := &Redial{Path: path, Cure: func(err error) string {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return "start it"
		case errors.Is(err, syscall.ECONNREFUSED):
			return ""
		}
		return "?"
	}}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	served, end := make(chan struct{}), make(chan struct{})
	running.Go(func() {
		r.Run(ctx, func(conn *net.UnixConn) string {
			defer conn.Close()
			served <- struct{}{}
			<-end
			return "it has ended"
		})
	})
	until(t, r, "connect to "+path+": no such file or directory: start it")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	<-served
	until(t, r, "")
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	end <- struct{}{}
	until(t, r, "connection refused")
	if why := r.Trouble(); why != "connect to "+path+": connection refused" {
		t.Error(why)
	}
}

// What is served for a moment alone is connected to again after a while that grows to a
// second; once one has lasted, that begins anew.
func TestRedialPauses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		r := &Redial{Path: path}
		var pauses []time.Duration
		last := time.Now()
		r.Run(ctx, func(conn *net.UnixConn) string {
			conn.Close()
			pauses = append(pauses, time.Since(last))
			if len(pauses) == 8 {
				time.Sleep(maxPause + 1)
			}
			if len(pauses) == 10 {
				cancel()
			}
			last = time.Now()
			return "it has ended"
		})
		for i, want := range []time.Duration{0, 50, 100, 200, 400, 800, 1000, 1000, 50, 100} {
			if want *= time.Millisecond; pauses[i] != want {
				t.Errorf("after %d connections %v, want %v", i, pauses[i], want)
			}
		}
		if r.Trouble() != "it has ended" {
			t.Error(r.Trouble())
		}
	})
}
