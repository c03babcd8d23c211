//go:build linux

package rig

import (
	"context"
	"errors"
	"fmt"
	"time"

	"headgate/integration/rig/job"
)

// errHung is that of a machine that stands still: an emulator's failure, of which the
// tests in it are not guilty.
var errHung = errors.New("the emulated machine stands still")

// pulse is what a machine's init says of the machine by when and how soon it answers.
type pulse struct {
	every   time.Duration // from an answer to the next question
	silence time.Duration // so long without an answer is a hang

	answered int
	slowest  time.Duration // answer
	longest  time.Duration // that the machine's own heartbeat was late
	begun    moment
	last     moment
}

// moment is one by two clocks.
type moment struct {
	host  time.Time
	guest time.Duration // CLOCK_MONOTONIC
}

// watch asks until the context ends, or the machine has gone: then there is no error.
// That it does not answer is errHung.
func (p *pulse) watch(ctx context.Context, c *link) error {
	for {
		asked := time.Now()
		a, err := p.ask(ctx, c)
		switch {
		case err == nil:
		case ctx.Err() != nil || errors.Is(err, errGone):
			return nil
		case errors.Is(err, context.DeadlineExceeded):
			return fmt.Errorf("%w: no answer for %s", errHung, time.Since(asked).Round(time.Second))
		default:
			return err
		}
		p.last = moment{a.at, time.Duration(a.Now)}
		if p.answered++; p.answered == 1 {
			p.begun = p.last
		}
		p.slowest = max(p.slowest, a.at.Sub(asked))
		if a.Beat != nil {
			p.longest = max(p.longest, a.Beat.Longest)
		}
		if Sleep(ctx, p.every) != nil {
			return nil
		}
	}
}

func (p *pulse) ask(ctx context.Context, c *link) (arrival, error) {
	ctx, cancel := context.WithTimeout(ctx, p.silence)
	defer cancel()
	to, err := c.send(ctx, job.Command{Do: job.Heartbeat})
	if err != nil {
		if ctx.Err() != nil { // a full socket, which nobody empties
			err = ctx.Err()
		}
		return arrival{}, err
	}
	return c.next(ctx, to)
}

// rate is how fast the machine's clock ran beside this one's.
func (p *pulse) rate() float64 {
	host := p.last.host.Sub(p.begun.host)
	if host <= 0 {
		return 1
	}
	return (p.last.guest - p.begun.guest).Seconds() / host.Seconds()
}

func (p *pulse) String() string {
	if p.answered == 0 {
		return "its init never answered"
	}
	return fmt.Sprintf("its init answered %d times, after at most %.1f s, the last time %.0f s ago; its programs stood still for at most %.1f s; its clock ran at %.3f of ours",
		p.answered, p.slowest.Seconds(), time.Since(p.last.host).Seconds(), p.longest.Seconds(), p.rate())
}
