//go:build linux

package rig

import (
	"context"
	"os/exec"
	"testing"
	"time"
)

// Peer is a program of somebody else's that runs beside a daemon.
type Peer struct {
	Log string // file
	run *process
}

// StartPeer starts a program that ends with the test, or when limit is over. A failed test
// quotes its log.
func StartPeer(t testing.TB, cmd *exec.Cmd, log string, limit time.Duration) *Peer {
	t.Helper()
	p, err := RunPeer(context.WithoutCancel(t.Context()), cmd, log, limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("the end of the log of %s:\n%s", p.run.name, Tail(log, 10))
		}
	})
	return p
}

// RunPeer starts a program that ends with ctx, or when limit is over.
func RunPeer(ctx context.Context, cmd *exec.Cmd, log string, limit time.Duration) (*Peer, error) {
	run, err := startProcess(ctx, cmd, log, limit)
	if err != nil {
		return nil, err
	}
	return &Peer{Log: log, run: run}, nil
}

// PID is the program's.
func (p *Peer) PID() int { return p.run.pid }

// Kill ends the program with SIGKILL, as a crash would.
func (p *Peer) Kill() { p.run.kill() }

// Ended is closed when the program has gone.
func (p *Peer) Ended() <-chan struct{} { return p.run.done }
