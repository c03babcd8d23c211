//go:build linux

package rig

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"headgate/integration/rig/job"
)

// initPatience is how long an init may take to answer, beside the time that it was given
// for what it is to do: a guest that stands still is a test's failure, at once.
const initPatience = 30 * time.Second

// Init is the rig's own init in a running guest: each method is a command to it.
type Init struct {
	Name string // of the guest

	link *link
}

// Insmod inserts modules of the image in this order.
func (g *Init) Insmod(ctx context.Context, names ...string) error {
	_, err := g.ask(ctx, job.Command{Do: job.Insmod, Args: names})
	return err
}

// Run runs a program in the guest to its end, for at most limit.
func (g *Init) Run(ctx context.Context, limit time.Duration, args ...string) (job.Exit, error) {
	a, err := g.ask(ctx, job.Command{Do: job.Run, Args: args, For: limit})
	if err != nil {
		return job.Exit{}, err
	}
	return *a.Exit, nil
}

// Start starts a program in the guest and leaves it running.
func (g *Init) Start(ctx context.Context, args ...string) (*Program, error) {
	return g.start(ctx, job.Command{Args: args})
}

// StartOnto starts a program whose output goes to the guest's Output.
func (g *Guest) StartOnto(ctx context.Context, args ...string) (*Program, error) {
	return g.start(ctx, job.Command{Args: args, Output: job.OutputName})
}

func (g *Init) start(ctx context.Context, c job.Command) (*Program, error) {
	c.Do = job.Start
	args := c.Args
	answers, err := g.link.send(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("%s: start %s: %w", g.Name, args[0], err)
	}
	ctx, cancel := context.WithTimeout(ctx, initPatience)
	defer cancel()
	first, err := g.link.next(ctx, answers)
	if err == nil && first.Last {
		err = errors.New("ended at once: " + first.Error)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: start %s: %w", g.Name, args[0], err)
	}
	return &Program{guest: g, answers: answers, PID: first.PID}, nil
}

// Heartbeat tells how punctual the guest was since the last call.
func (g *Init) Heartbeat(ctx context.Context) (job.Beat, error) {
	a, err := g.ask(ctx, job.Command{Do: job.Heartbeat})
	if err != nil {
		return job.Beat{}, err
	}
	return *a.Beat, nil
}

// KernelLog returns the records of the guest's kernel log that contain one of
// the words.
func (g *Init) KernelLog(ctx context.Context, words ...string) ([]job.Record, error) {
	a, err := g.ask(ctx, job.Command{Do: job.Log, Args: words})
	return a.Log, err
}

// AwaitLog waits until the guest's kernel has logged the word.
func (g *Init) AwaitLog(ctx context.Context, word string, patience time.Duration) (job.Record, error) {
	a, err := g.ask(ctx, job.Command{Do: job.AwaitLog, Args: []string{word}, For: patience})
	if err != nil {
		return job.Record{}, err
	}
	return a.Log[0], nil
}

func (g *Init) ask(ctx context.Context, c job.Command) (job.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.For+initPatience)
	defer cancel()
	a, err := g.link.do(ctx, c)
	if err != nil {
		err = fmt.Errorf("%s: %s %s: %w", g.Name, c.Do, strings.Join(c.Args, " "), err)
	}
	return a, err
}

// Program is a program that runs in a guest.
type Program struct {
	PID int

	guest   *Init
	answers *answers
}

// In is the program in a guest that goes on from a state that was saved while the
// program ran.
func (p *Program) In(g *Init) *Program {
	return &Program{PID: p.PID, guest: g, answers: g.link.register(p.answers.id)}
}

// Memory returns the program's resident memory.
func (p *Program) Memory(ctx context.Context) (job.Memory, error) {
	a, err := p.guest.ask(ctx, job.Command{Do: job.Proc, PID: p.PID})
	if err != nil {
		return job.Memory{}, err
	}
	return *a.Proc, nil
}

// Stop ends the program (SIGTERM), unless it has ended, and returns how it ended.
func (p *Program) Stop(ctx context.Context) (job.Exit, error) {
	if _, err := p.guest.ask(ctx, job.Command{Do: job.Stop, Target: p.answers.id}); err != nil {
		return job.Exit{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, initPatience)
	defer cancel()
	a, err := p.guest.link.last(ctx, p.answers)
	if err != nil {
		return job.Exit{}, fmt.Errorf("%s: stop the program: %w", p.guest.Name, err)
	}
	return *a.Exit, nil
}
