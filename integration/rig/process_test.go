//go:build linux

package rig

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestProcessIsGone shows that each way to end a process ends its children, too.
func TestProcessIsGone(t *testing.T) {
	for name, c := range map[string]struct {
		limit time.Duration
		end   func(*process, context.CancelFunc)
	}{
		"kill":    {time.Minute, func(p *process, _ context.CancelFunc) { p.kill() }},
		"context": {time.Minute, func(_ *process, cancel context.CancelFunc) { cancel() }},
		"limit":   {50 * time.Millisecond, func(*process, context.CancelFunc) {}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			log := filepath.Join(t.TempDir(), "log")
			p, err := startProcess(ctx, exec.Command("sh", "-c", "sleep 60 & echo started; wait"), log, c.limit)
			if err != nil {
				t.Fatal(err)
			}
			c.end(p, cancel)
			if err := p.wait(10 * time.Second); err == nil {
				t.Error("a killed process ended well")
			}
			if err := awaitNoGroup(p.pid, 5*time.Second); err != nil {
				t.Errorf("a child is left: %v", err)
			}
		})
	}
}

func awaitNoGroup(pid int, patience time.Duration) error {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if errors.Is(syscall.Kill(-pid, 0), syscall.ESRCH) {
			return nil
		}
	}
	return errors.New("its group is still there")
}

func TestProcessQuotesItsLog(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	p, err := startProcess(t.Context(), exec.Command("sh", "-c", "echo no luck; exit 3"), log, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	<-p.done
	if text := p.failed().Error(); !strings.Contains(text, "exit status 3") || !strings.Contains(text, "no luck") {
		t.Errorf("the error is %q", text)
	}
}
