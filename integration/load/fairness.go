//go:build linux

package load

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"headgate/hostd/control"
	"headgate/integration/rig"
)

// Fairness is what a crowd of greedy guests on one short supply is measured by.
type Fairness struct {
	Clients   int
	Devices   bool          // all of them are vhost-user devices, not EGD clients
	Weights   []int         // of the classes, taken in turn
	Supply    float64       // conditioned bytes a second
	Newcomers int           // other guests, that come one after another meanwhile
	Time      time.Duration // measured, after the reservoir is drained
}

// Shares is how a short supply was shared.
type Shares struct {
	Jain        float64         // index of what each got for its weight; 1: all the same
	Classes     map[int]float64 // by weight: what the class got of what it was due
	Conditioned uint64          // bytes, in the time measured
	Delivered   float64         // of those
	Restless    float64         // what a guest that reconnects all the time got of one greedy guest's share
	Newcomers   Times           // from connect to the first 32 bytes
	Floor       Times           // the same from a server that answers from a fixed buffer, in turns with them
}

// Times are durations in rising order.
type Times []time.Duration

// Percentile is the smallest time that the part p of all does not exceed.
func (t Times) Percentile(p float64) time.Duration {
	if len(t) == 0 {
		return 0
	}
	return t[int(math.Ceil(p*float64(len(t))))-1]
}

// Measure runs the crowd against a hostd.
func (f Fairness) Measure(ctx context.Context, binary string) (s Shares, err error) {
	dir, err := tempDir()
	if err != nil {
		return s, err
	}
	defer os.RemoveAll(dir)
	noise, err := StartNoise(ctx, filepath.Join(dir, "noise"), f.Supply)
	if err != nil {
		return s, err
	}
	defer noise.Close()

	var text strings.Builder
	text.WriteString(noise.Source())
	for _, w := range f.Weights {
		fmt.Fprintf(&text, "[[class]]\nname = \"w%d\"\nrate = \"unlimited\"\nweight = %d\n", w, w)
	}
	guest := func(name string, weight int) *client {
		c := &client{path: filepath.Join(dir, name), device: f.Devices}
		pipe := "egd:" + c.path
		if c.device {
			pipe = "vhost-user:" + c.path + ",server=on"
		}
		fmt.Fprintf(&text, "[[guest]]\nname = %q\nclass = \"w%d\"\npipes = [%q]\n", name, weight, pipe)
		return c
	}
	greedy := make([]*client, f.Clients)
	for i := range greedy {
		greedy[i] = guest(fmt.Sprintf("g%d", i), f.weight(i))
	}
	newcomers := make([]*client, f.Newcomers)
	for i := range newcomers {
		newcomers[i] = guest(fmt.Sprintf("n%d", i), f.Weights[0])
	}
	reconnecting := guest(restless, f.Weights[0])

	hostd, err := rig.NewDaemon(dir, binary, text.String())
	if err != nil {
		return s, err
	}
	if err := hostd.Start(ctx); err != nil {
		return s, err
	}
	defer hostd.Close()
	crowd := newCrowd(ctx)
	defer crowd.end()
	for _, c := range append(slices.Clone(greedy), reconnecting) {
		work := c.greedy
		if c == reconnecting {
			work = c.restless
		}
		crowd.run(work)
	}
	if err := drained(ctx, crowd, hostd); err != nil {
		return s, err
	}

	everybody := slices.Concat(greedy, newcomers, []*client{reconnecting})
	before, conditioned, err := snapshot(ctx, hostd, everybody)
	if err != nil {
		return s, err
	}
	floor, err := StartFixed(filepath.Join(dir, "fixed"))
	if err != nil {
		return s, err
	}
	defer floor.Close()
	if s.Newcomers, s.Floor, err = f.measureNewcomers(crowd, newcomers, &client{path: floor.path}); err != nil {
		return s, err
	}
	after, conditionedAfter, err := snapshot(ctx, hostd, everybody)
	if err != nil {
		return s, err
	}
	got := make([]float64, len(everybody))
	var all float64
	for i := range got {
		got[i] = float64(after[i] - before[i])
		all += got[i]
	}
	s.Conditioned = conditionedAfter - conditioned
	s.Delivered = all / float64(s.Conditioned)
	s.Jain, s.Classes = f.judge(got[:f.Clients])
	s.Restless = got[len(got)-1] / perWeight(got[:f.Clients], f) / float64(f.Weights[0])
	return s, nil
}

func (f Fairness) weight(i int) int { return f.Weights[i%len(f.Weights)] }

// measureNewcomers spreads the newcomers over the time measured.
func (f Fairness) measureNewcomers(crowd *crowd, newcomers []*client, floor *client) (times, least Times, err error) {
	end := time.Now().Add(f.Time)
	for i, n := range newcomers {
		if err := crowd.pause(time.Until(end) / time.Duration(len(newcomers)-i+1)); err != nil {
			return nil, nil, err
		}
		took, err := n.newcomer(crowd.ctx, 32)
		if err != nil {
			return nil, nil, fmt.Errorf("newcomer %d: %w", i, err)
		}
		times = append(times, took)
		if took, err = floor.newcomer(crowd.ctx, 32); err != nil {
			return nil, nil, err
		}
		least = append(least, took)
	}
	slices.Sort(times)
	slices.Sort(least)
	return times, least, crowd.pause(time.Until(end))
}

// drained waits until every guest that is connected has had its first bytes and
// only the boot reserve is left, which by then is full again.
func drained(ctx context.Context, crowd *crowd, hostd *rig.Daemon) error {
	for {
		s, err := hostd.Status(ctx)
		if err != nil {
			return err
		}
		above := s.Reservoir.Level - s.Reservoir.BootReserve
		if seeded(s) && above > -2*request && above < 16*request {
			return crowd.pause(time.Second)
		}
		if err := crowd.pause(200 * time.Millisecond); err != nil {
			return err
		}
	}
}

// restless is the name of the guest that reconnects all the time: it is never
// seeded for long.
const restless = "restless"

func seeded(s control.Status) bool {
	any := false
	for _, g := range s.Guests {
		if g.Name != restless && g.Pipes[0].Connected && !g.Seeded {
			return false
		}
		any = any || g.Seeded
	}
	return any
}

func snapshot(ctx context.Context, hostd *rig.Daemon, clients []*client) (got []uint64, conditioned uint64, err error) {
	s, err := hostd.Status(ctx)
	if err != nil {
		return nil, 0, err
	}
	for _, c := range clients {
		got = append(got, c.got.Load())
	}
	return got, s.Reservoir.ConditionedBytes, nil
}

func perWeight(got []float64, f Fairness) float64 {
	var bytes, weights float64
	for i, g := range got {
		bytes += g
		weights += float64(f.weight(i))
	}
	return bytes / weights
}

// judge computes Jain's index over what each got for its weight, and what each
// class got of what it was due.
func (f Fairness) judge(got []float64) (jain float64, classes map[int]float64) {
	due := perWeight(got, f)
	var sum, squares float64
	classes, count := map[int]float64{}, map[int]float64{}
	for i, g := range got {
		w := f.weight(i)
		x := g / float64(w)
		sum += x
		squares += x * x
		classes[w] += g
		count[w] += due * float64(w)
	}
	for w := range classes {
		classes[w] /= count[w]
	}
	return sum * sum / (float64(len(got)) * squares), classes
}
