//go:build linux

package main

import (
	"fmt"
	"strings"
	"time"

	"headgate/hostd/control"

	"github.com/charmbracelet/lipgloss"
)

// Colours of the 256-colour palette that read well on dark and on light.
var (
	title  = lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Color("39"))
	header = lipgloss.NewStyle().Bold(true)
	faint  = lipgloss.NewStyle().Faint(true)
	good   = lipgloss.NewStyle().Foreground(lipgloss.Color("35"))
	warn   = lipgloss.NewStyle().Foreground(lipgloss.Color("172"))
	bad    = lipgloss.NewStyle().Foreground(lipgloss.Color("160")).Bold(true)
	water  = lipgloss.NewStyle().Foreground(lipgloss.Color("39"))
)

const (
	notesShown = 8
	barWidth   = 32
)

// frame draws the scene as at most so many lines: old notes give way first.
func frame(s *scene, now time.Time, rows int) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := []string{
		title.Render("Headgate") + faint.Render("   one physical supply, shared out to many guests   ") + clock(now.Sub(s.begun)),
		"",
	}
	lines = append(lines, sources(s.status.Sources)...)
	lines = append(lines, "")
	lines = append(lines, reservoir(s)...)
	lines = append(lines, "")
	lines = append(lines, guests(s)...)
	lines = append(lines, "")
	room := min(notesShown, max(0, rows-len(lines)))
	for _, n := range s.notes[max(0, len(s.notes)-room):] {
		lines = append(lines, faint.Render(clock(n.at))+"  "+n.text)
	}
	return lines
}

func sources(all []control.SourceStatus) []string {
	lines := []string{header.Render("Sources")}
	if len(all) == 0 {
		return append(lines, faint.Render("  hostd is not up yet"))
	}
	for _, s := range all {
		what := s.Driver
		if what == "" {
			what = s.Path
		}
		claim := fmt.Sprintf("%.2f bits/byte", s.MinEntropy)
		if s.Assumed {
			claim += " assumed"
		}
		lines = append(lines, fmt.Sprintf("  %s %-8s %-14s %-22s %8s raw  %s",
			state(s), s.Name, what, claim, size(float64(s.RawBytes)), health(s)))
	}
	return lines
}

func state(s control.SourceStatus) string {
	switch s.State {
	case sourceUp:
		return good.Render("●")
	case "failed":
		return bad.Render("✗")
	}
	return warn.Render("○")
}

func health(s control.SourceStatus) string {
	var n uint64
	for _, count := range s.Failures {
		n += count
	}
	switch {
	case n > 0:
		return bad.Render(fmt.Sprintf("%d health failures", n))
	case s.State == sourceUp:
		return good.Render("healthy")
	}
	return warn.Render(strings.TrimSpace(s.State + " " + s.Error))
}

func reservoir(s *scene) []string {
	r := s.status.Reservoir
	share := 0.0
	if r.Capacity > 0 {
		share = float64(r.Level) / float64(r.Capacity)
	}
	full, empty := bar(share, barWidth)
	return []string{
		header.Render("Reservoir") + faint.Render("  SHA-512 conditioned, each byte given out once"),
		fmt.Sprintf("  %s%s  %s of %s   %s in", water.Render(full), faint.Render(empty),
			size(float64(r.Level)), size(float64(r.Capacity)), rate(s.inflow.rate())),
	}
}

func guests(s *scene) []string {
	lines := []string{header.Render("Guests") + faint.Render("  what each gets, now and over the last seconds, and of how much")}
	for _, name := range []string{greedy, normal} {
		a := s.actors[name]
		g := guestOf(s.status, name)
		lines = append(lines,
			fmt.Sprintf("  %s %-8s %10s of %-10s %s %8s", connected(g), name,
				rate(a.flow.rate()), rate(float64(limitOf(name))),
				water.Render(sparkline(a.flow.history, scale(a.flow.history, limitOf(name)))), size(float64(g.Bytes))),
			"    "+seeded(a, g))
	}
	return lines
}

// scale is the tallest bar of a guest's sparkline: its limit, or, for one that
// stays far below that, the most it took in a second.
func scale(history []float64, limit int) float64 {
	most := 64.0 // bytes/s
	for _, v := range history {
		most = max(most, v)
	}
	return min(most, float64(limit))
}

func connected(g control.GuestStatus) string {
	for _, p := range g.Pipes {
		if p.Connected {
			return good.Render("●")
		}
	}
	return faint.Render("○")
}

func seeded(a *actor, g control.GuestStatus) string {
	switch {
	case a.booted == 0:
		return faint.Render("not up yet")
	case a.ready == 0:
		return warn.Render("up; its kernel's generator is not ready")
	}
	text := fmt.Sprintf("generator ready %s after %s", took(a.ready), a.readyAfter)
	if g.LastReport != nil {
		text += fmt.Sprintf("; guestd credited %d bits", g.LastReport.CreditedBits)
	}
	return good.Render(text)
}

func guestOf(s control.Status, name string) control.GuestStatus {
	for _, g := range s.Guests {
		if g.Name == name {
			return g
		}
	}
	return control.GuestStatus{}
}

func limitOf(name string) int {
	if name == greedy {
		return greedyRate
	}
	return normalRate
}
