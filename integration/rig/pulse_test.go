//go:build linux

package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"headgate/integration/rig/job"
)

// TestPulse has an init answer three times by a clock that runs at half the speed, and
// then no more.
func TestPulse(t *testing.T) {
	c := newLastingLink()
	defer c.close()
	guest := newFakeInit(t, c)
	go func() {
		for clock := time.Duration(0); clock < 300*time.Millisecond; clock += 100 * time.Millisecond {
			guest.answer(t, job.Answer{ID: guest.command(t).ID, Last: true, Now: clock.Nanoseconds(), Beat: &job.Beat{Longest: clock}})
		}
	}()
	p := pulse{every: 200 * time.Millisecond, silence: 500 * time.Millisecond}
	err := p.watch(t.Context(), c)
	if !errors.Is(err, errHung) || p.answered != 3 || p.longest != 200*time.Millisecond || p.rate() < 0.2 || p.rate() > 0.6 {
		t.Errorf("%v: %s", err, &p)
	}
	// A machine that goes is not one that stands still.
	time.AfterFunc(50*time.Millisecond, c.finish)
	if err := p.watch(t.Context(), c); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.watch(ctx, c); err != nil {
		t.Error("its time was over: ", err)
	}
}

func TestUnlessHung(t *testing.T) {
	var (
		hung  = fmt.Errorf("boot: %w", errHung)
		other = errors.New("no such kernel")
	)
	for name, c := range map[string]struct {
		codes []int
		errs  []error
		want  error
	}{
		"all is well":            {[]int{0}, []error{nil}, nil},
		"a test failed":          {[]int{1}, []error{nil}, nil},
		"no boot":                {[]int{1}, []error{other}, other},
		"hung once":              {[]int{1, 0}, []error{hung, nil}, nil},
		"hung, then a test fail": {[]int{1, 1}, []error{hung, nil}, nil},
		"hung each time":         {[]int{1, 1, 1}, []error{hung, hung, hung}, errHung},
		"a domU taken down":      {[]int{1, 0}, []error{errTakenDown, nil}, nil},
		"taken down each time":   {[]int{1, 1, 1}, []error{errTakenDown, errTakenDown, errTakenDown}, errTakenDown},
		"failed, then hung":      {[]int{1}, []error{fmt.Errorf("%w, and %w", errFailed, hung)}, errHung},
	} {
		n := 0
		var out strings.Builder
		code, err := unlessHung(&out, func() (int, error) {
			n++
			return c.codes[n-1], c.errs[n-1]
		})
		if loud := strings.Contains(out.String(), "ALL IS BEGUN ANEW"); loud != (n > 1) {
			t.Errorf("%s: %d times, and it says: %s", name, n, &out)
		}
		if n != len(c.codes) || code != c.codes[n-1] || !errors.Is(err, c.want) {
			t.Errorf("%s: %d times, %d, %v", name, n, code, err)
		}
	}
}

// TestTimes holds that tests in dom0 say where they hang, well before what waits for
// them, and that this is long before go test's own limit.
func TestTimes(t *testing.T) {
	all := 24*time.Minute - xenRemainder
	boot := bootTime(all)
	if boot > 8*time.Minute || boot < 6*time.Minute {
		t.Errorf("one boot has %s", boot)
	}
	if tests := testTime(boot); tests > boot-45*time.Second || tests < 5*time.Minute {
		t.Errorf("its tests have %s of %s", tests, boot)
	}
	if least := testTime(0); least <= 0 {
		t.Errorf("a limit of %s is none, for go test", least)
	}
}

func TestSaid(t *testing.T) {
	for text, failed := range map[string]bool{
		"=== RUN   TestXen\n--- FAIL: TestXen (1.00s)\n": true,
		"--- FAIL: TestXen": true,
		"=== RUN   TestXen\n    a_test.go:1: no --- FAIL here\n--- PASS: TestXen (1.00s)\n": false,
		"--- FAI": false,
	} {
		for step := 1; step <= len(text); step++ {
			var out bytes.Buffer
			s := said{to: &out}
			for rest := text; rest != ""; {
				n := min(step, len(rest))
				if _, err := s.Write([]byte(rest[:n])); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			if s.failed != failed || out.String() != text {
				t.Errorf("%d bytes at a time: %q: %t", step, strings.ReplaceAll(out.String(), "\n", "|"), s.failed)
			}
		}
	}
}
