package daemon

import (
	"context"
	"fmt"
	"io"
	"time"

	"headgate/backends"
	"headgate/backends/assess"
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

// CaptureRestarts diverts the first raw bytes of that many restarts of a source.
func (d *Daemon) CaptureRestarts(ctx context.Context, name string, restarts, samples int, w io.Writer) error {
	p, err := d.pump(name)
	if err != nil {
		return err
	}
	return p.CaptureRestarts(ctx, restarts, samples, w)
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
	estimator, err := assess.New(assess.MaxBits)
	if err != nil {
		return control.SourceTest{}, err
	}
	judge := &judge{monitor: monitor, estimator: estimator}
	start := time.Now()
	if err := p.Capture(ctx, n, judge); err != nil {
		return control.SourceTest{}, err
	}
	estimated := estimator.Estimates()
	t := control.SourceTest{
		Name: name, Samples: int(estimated.Samples), Seconds: time.Since(start).Seconds(),
		MinEntropy: status.MinEntropy, Assumed: status.Assumed,
		Estimate: estimated.MCV, LongestRun: judge.longest,
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
	monitor   *health.Monitor
	estimator *assess.Estimator
	failure   error
	last      byte
	run       int // of the last sample, by now
	longest   int
}

func (j *judge) Write(samples []byte) (int, error) {
	if err := j.monitor.Test(samples); j.failure == nil {
		j.failure = err
	}
	for _, s := range samples {
		if s != j.last {
			j.run = 0
		}
		j.run++
		j.last, j.longest = s, max(j.longest, j.run)
	}
	return j.estimator.Write(samples)
}
