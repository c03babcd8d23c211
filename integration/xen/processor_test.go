//go:build linux

package xen

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"headgate/integration/rig"
)

// processorState shows that guests which run side by side do not see each
// other's registers, which they did with Xen's lazy switching under emulation: a
// test whose guest is corrupted proves nothing.
func processorState(t *testing.T, shared *sharing) {
	const rounds = 10
	script := fmt.Sprintf("for i in $(seq %d); do cat /bin/busybox | sha256sum | cut -c1-20; done | sort | uniq -c", rounds)
	guest := shared.get(t, "light")[0]
	// On one processor they take turns.
	for _, domain := range []string{guest.Name, "Domain-0"} {
		pin(t, domain, "0")
		t.Cleanup(func() { pin(t, domain, "all") })
	}
	var both sync.WaitGroup
	both.Go(func() {
		exit, err := guest.Run(t.Context(), time.Minute, "sh", "-c", script)
		checkSums(t, "the domU", exit.Stdout, exit.Stderr, rounds, err)
	})
	both.Go(func() {
		var errors strings.Builder
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, "sh", "-c", script)
		cmd.Stderr = &errors
		out, err := cmd.Output()
		checkSums(t, "dom0", string(out), errors.String(), rounds, err)
	})
	both.Wait()
}

func pin(t *testing.T, domain, processors string) {
	if _, err := rig.XL(context.WithoutCancel(t.Context()), "vcpu-pin", domain, "all", processors); err != nil {
		t.Error(err)
	}
}

func checkSums(t *testing.T, who, out, errors string, rounds int, err error) {
	if err != nil || errors != "" || strings.Count(out, "\n") != 1 || !strings.HasPrefix(strings.TrimSpace(out), fmt.Sprint(rounds, " ")) {
		t.Errorf("%s: one file has these sums: %s %s %v", who, out, errors, err)
	}
}
