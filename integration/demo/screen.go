//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/charmbracelet/lipgloss"
	"golang.org/x/sys/unix"
)

const (
	redrawEvery = 200 * time.Millisecond
	lineEvery   = 3 * time.Second
)

// Control sequences (ECMA-48; the cursor's visibility is DEC's).
const (
	cursorUp   = "\x1b[%dA"
	clearRight = "\x1b[K"
	clearBelow = "\x1b[J"
	cursorHide = "\x1b[?25l"
	cursorShow = "\x1b[?25h"
)

// show draws the scene until what it returns is called: in place on a
// terminal, as lines elsewhere.
func show(s *scene, plain bool) (done func()) {
	draw, every, end := lines(os.Stdout, s), lineEvery, func() {}
	if width, _ := terminal(os.Stdout); width > 0 && !plain {
		draw, every = screen(os.Stdout, s), redrawEvery
		fmt.Print(cursorHide)
		end = func() { fmt.Print(cursorShow) }
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			draw()
			select {
			case <-tick.C:
			case <-stop:
				draw()
				end()
				return
			}
		}
	}()
	return func() { close(stop); <-stopped }
}

// screen draws the whole frame over the one before.
func screen(out *os.File, s *scene) func() {
	drawn := 0
	return func() {
		width, rows := terminal(out)
		cut := lipgloss.NewStyle().MaxWidth(max(40, width))
		var b strings.Builder
		if drawn > 0 {
			fmt.Fprintf(&b, cursorUp, drawn)
		}
		all := frame(s, time.Now(), rows-1) // the cursor has a line of its own
		for _, line := range all {
			b.WriteString(cut.Render(line) + clearRight + "\n")
		}
		b.WriteString(clearBelow)
		drawn = len(all)
		_, _ = io.WriteString(out, b.String())
	}
}

// lines prints what happened since the last call, and one line of figures while
// guests run.
func lines(out io.Writer, s *scene) func() {
	told := 0
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, n := range s.notes[told:] {
			fmt.Fprintf(out, "%s  %s\n", clock(n.at), n.text)
		}
		told = len(s.notes)
		if figures := s.figures(); figures != "" {
			fmt.Fprintf(out, "%s  %s\n", clock(time.Since(s.begun)), figures)
		}
	}
}

// figures is one line of the present state; empty before hostd is up.
func (s *scene) figures() string {
	r := s.status.Reservoir
	if r.Capacity == 0 {
		return ""
	}
	var parts []string
	up := 0
	for _, source := range s.status.Sources {
		if source.State == sourceUp {
			up++
		}
	}
	parts = append(parts, fmt.Sprintf("%d of %d sources up", up, len(s.status.Sources)),
		fmt.Sprintf("reservoir %s of %s", size(float64(r.Level)), size(float64(r.Capacity))))
	for _, name := range []string{greedy, normal} {
		parts = append(parts, name+" "+rate(s.actors[name].flow.rate()))
	}
	return strings.Join(parts, "   ")
}

// terminal returns the size of a terminal, 0 where out is none.
func terminal(out *os.File) (columns, rows int) {
	size, err := unix.IoctlGetWinsize(int(out.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, 0
	}
	// A terminal without a size, as some serial ones are, says 0 by 0.
	if size.Col == 0 || size.Row == 0 {
		return 80, 24
	}
	return int(size.Col), int(size.Row)
}
