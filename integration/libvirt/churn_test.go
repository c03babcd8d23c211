//go:build linux

package libvirt

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"headgate/integration/load"
	"headgate/integration/rig"
)

// make bench gives these more.
var (
	churnDefined = flag.Int("churn-defined", 12, "domains that are defined")
	churnStarted = flag.Int("churn-started", 4, "of those, that are started and stopped all the time")
	churnTime    = flag.Duration("churn-time", 10*time.Second, "for how long")
)

// TestChurn starts and stops domains all the time, among others that are only
// defined. Afterwards there is no socket, no guest, no goroutine and no open file
// in hostd that was not there before.
func TestChurn(t *testing.T) {
	h := theHost(t)
	ctx := rig.Within(t, 3*time.Minute+3**churnTime)
	h.hooked(ctx, t)
	domains := make([]*rig.Domain, *churnDefined)
	for i := range domains {
		name := fmt.Sprintf("churn%d", i)
		domains[i] = shell(t, name, fmt.Sprintf("ab5d2f64-1c7e-4e33-8f0e-%012d", i), policy(`class="gold"`), egd(guestSocket(name)))
	}
	domains = domains[:*churnStarted]
	round := func(do func(d *rig.Domain) error) {
		t.Helper()
		if err := each(domains, do); err != nil {
			t.Fatal(err)
		}
	}
	up := func(d *rig.Domain) error { return d.Start(ctx, "--paused") }
	down := func(d *rig.Domain) error { return d.Destroy(ctx) }
	// Once, so that what hostd keeps for good is there: connections, buffers.
	round(up)
	round(down)
	h.only(ctx, t)
	before := h.footprint(ctx, t)

	begun, rounds := time.Now(), 0
	for time.Since(begun) < *churnTime {
		round(up)
		if rounds == 0 {
			names := make([]string, len(domains))
			for i, d := range domains {
				names[i] = d.Name
			}
			h.only(ctx, t, names...)
			t.Logf("with %d running: %s", len(domains), h.footprint(ctx, t))
		}
		round(down)
		rounds++
	}
	took := time.Since(begun)
	begun = time.Now()
	h.only(ctx, t)
	clean := time.Since(begun)
	var after footprint
	for {
		after = h.footprint(ctx, t)
		if after.goroutines <= before.goroutines && after.files <= before.files || time.Since(begun) > 20*time.Second {
			break
		}
		rig.Pause(ctx, t, 100*time.Millisecond)
	}
	t.Logf("%d domains defined, %d of them started and stopped %d times in %s; before: %s; after: %s; no guest and no socket was left %s after the last",
		*churnDefined, len(domains), rounds, took.Round(time.Second), before, after, clean.Round(time.Millisecond))
	if rounds < 2 {
		t.Errorf("%d rounds are no loop", rounds)
	}
	if after.goroutines > before.goroutines || after.files > before.files {
		t.Errorf("hostd has %s, and had %s before", after, before)
	}
	if grown := after.resident - before.resident; grown > 16<<20 {
		t.Errorf("hostd grew by %d KiB", grown>>10)
	}
	if text, err := os.ReadFile(run + "/state.json"); err == nil && strings.Contains(string(text), "churn") {
		t.Errorf("the state file knows of libvirt's domains: %s", text)
	}
	// Stopped for now, but it follows still.
	start(ctx, t, domains[0], "--paused")
	h.hostd.AwaitGuest(ctx, t, domains[0].Name, "it is connected", connected)
	h.destroy(ctx, t, domains[0], domains[0].Name)
}

// atOnce is how many virsh run side by side.
const atOnce = 4

// each does something to each domain, to some at once, and returns an error.
func each(domains []*rig.Domain, do func(*rig.Domain) error) error {
	work := make(chan *rig.Domain, len(domains))
	for _, d := range domains {
		work <- d
	}
	close(work)
	errs := make(chan error, len(domains))
	var tasks sync.WaitGroup
	for range atOnce {
		tasks.Go(func() {
			for d := range work {
				if err := do(d); err != nil {
					errs <- err
				}
			}
		})
	}
	tasks.Wait()
	close(errs)
	return <-errs
}

// footprint is what hostd holds.
type footprint struct {
	goroutines, files float64
	resident          int // bytes
}

func (f footprint) String() string {
	return fmt.Sprintf("%.0f goroutines, %.0f open files, %d KiB", f.goroutines, f.files, f.resident>>10)
}

func (h *host) footprint(ctx context.Context, t *testing.T) footprint {
	t.Helper()
	is := func(metric string) float64 {
		value, err := strconv.ParseFloat(h.hostd.Metrics(ctx, t, metric+" ")[metric], 64)
		if err != nil {
			t.Fatalf("%s: %v", metric, err)
		}
		return value
	}
	resident, err := load.RSS(h.hostd.PID())
	if err != nil {
		t.Fatal(err)
	}
	return footprint{is("go_goroutines"), is("process_open_fds"), resident}
}
