//go:build linux

package rig

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMonitor speaks with what says events in between, and errors.
func TestMonitor(t *testing.T) {
	listener, err := net.Listen("unix", filepath.Join(Dir(t), "qmp"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ours, err := net.Dial("unix", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		fmt.Fprintln(theirs, `{"QMP": {"version": {}}}`)
		asked := bufio.NewScanner(theirs)
		for asked.Scan() {
			switch {
			case strings.Contains(asked.Text(), "query-status"):
				fmt.Fprintln(theirs, `{"event": "RESUME"}`+"\n"+`{"return": {"status": "running"}}`)
			case strings.Contains(asked.Text(), "cont"):
				fmt.Fprintln(theirs, `{"error": {"class": "GenericError", "desc": "not now"}}`)
			case strings.Contains(asked.Text(), "qmp_capabilities"):
				fmt.Fprintln(theirs, `{"return": {}}`)
			}
		}
	}()
	m := newMonitor(ours)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := m.await(ctx, "query-status", func(s string) (bool, error) { return s == "running", nil }); err != nil {
		t.Error(err)
	}
	if err := m.execute(ctx, "cont", nil, nil); err == nil || !strings.Contains(err.Error(), "not now") {
		t.Errorf("a refusal: %v", err)
	}
	soon, stop := context.WithTimeout(ctx, 20*time.Millisecond)
	defer stop()
	if err := m.execute(soon, "quit", nil, nil); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("no answer: %v", err)
	}
	m.close()
	<-done
}
