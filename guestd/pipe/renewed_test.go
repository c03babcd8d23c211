//go:build linux

package pipe

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"headgate/wire/feed"
)

// dead is an opening that has ended.
type dead struct{}

func (dead) receive() (feed.Batch, error) { return feed.Batch{}, io.EOF }
func (dead) send(*feed.Frame) error       { return nil }
func (dead) wipe()                        {}
func (dead) end()                         {}

// The pauses between attempts double, and the last error is what the pipe ends with.
func TestAttemptsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("no page left")
		var tried []time.Duration
		began := time.Now()
		p := &renewed{open: func() (opening, error) {
			if tried = append(tried, time.Since(began)); len(tried) == 1 {
				return dead{}, nil
			}
			return nil, broken
		}}
		if _, err := p.start(); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Receive(); !errors.Is(err, broken) {
			t.Error(err)
		}
		if n := len(tried); n != 1+attempts || tried[1] != spacing || tried[n-1] != spacing+(1<<(attempts-1)-1)*firstPause {
			t.Errorf("tried at %v", tried)
		}
		if err := p.Ask(1); !errors.Is(err, ErrSoon) {
			t.Error(err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
}

// What cannot be opened at all says so at once.
func TestStartFails(t *testing.T) {
	p := &renewed{open: func() (opening, error) { return nil, ErrNone }}
	if _, err := p.start(); !errors.Is(err, ErrNone) {
		t.Error(err)
	}
}
