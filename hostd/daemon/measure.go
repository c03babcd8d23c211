package daemon

import (
	"context"
	"fmt"
	"io"
	"math"
	"time"

	"headgate/backends"
	"headgate/backends/health"
	"headgate/hostd/control"
)

// CaptureSource diverts n raw bytes of a running source to w.
func (d *Daemon) CaptureSource(ctx context.Context, name string, n int, w io.Writer) error {
	p, err := d.pump(name)
	if err != nil {
		return err
	}
	return p.Capture(ctx, n, w)
}

// TestSource diverts n raw bytes of a running source, and judges them like a
// start-up test.
func (d *Daemon) TestSource(ctx context.Context, name string, n int) (control.SourceTest, error) {
	p, err := d.pump(name)
	if err != nil {
		return control.SourceTest{}, err
	}
	status := p.Status()
	if status.State != backends.Up {
		return control.SourceTest{}, fmt.Errorf("%w: source %q is %s: only one that is up can be tested", control.ErrInvalid, name, status.State)
	}
	d.mu.Lock()
	alpha := d.config.Health.AlphaLog2
	d.mu.Unlock()
	monitor, err := health.New(health.Params{MinEntropy: status.MinEntropy, AlphaLog2: alpha})
	if err != nil {
		return control.SourceTest{}, err
	}
	judge := &judge{monitor: monitor}
	start := time.Now()
	if err := p.Capture(ctx, n, judge); err != nil {
		return control.SourceTest{}, err
	}
	t := control.SourceTest{
		Name: name, Samples: judge.samples, Seconds: time.Since(start).Seconds(),
		MinEntropy: status.MinEntropy, Assumed: status.Assumed,
		Estimate: judge.estimate(), LongestRun: judge.longest,
		RCTCutoff: health.RCTCutoff(status.MinEntropy, alpha),
		APTCutoff: health.APTCutoff(status.MinEntropy, alpha, health.Window),
		Passed:    judge.failure == nil,
	}
	if judge.failure != nil {
		t.Failure = judge.failure.Error()
	}
	return t, nil
}

// judge is an io.Writer of samples. It keeps counts of them, not the samples.
type judge struct {
	monitor *health.Monitor
	failure error
	counts  [256]int
	samples int
	last    byte
	run     int
	longest int
}

func (j *judge) Write(samples []byte) (int, error) {
	if err := j.monitor.Test(samples); j.failure == nil {
		j.failure = err
	}
	for _, s := range samples {
		j.counts[s]++
		if j.samples++; j.samples > 1 && s == j.last {
			j.run++
		} else {
			j.run = 1
		}
		j.last, j.longest = s, max(j.longest, j.run)
	}
	return len(samples), nil
}

// estimate is the most common value estimate in bits per byte, with the upper
// end of a 99% confidence interval (SP 800-90B §6.3.1).
func (j *judge) estimate() float64 {
	if j.samples < 2 {
		return 0
	}
	most := 0
	for _, n := range j.counts {
		most = max(most, n)
	}
	const z = 2.5758293035489008 // the normal distribution's 99.5% quantile
	p := float64(most) / float64(j.samples)
	return math.Abs(math.Log2(min(1, p+z*math.Sqrt(p*(1-p)/float64(j.samples-1)))))
}
