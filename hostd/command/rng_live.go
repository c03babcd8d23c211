package command

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/lipgloss"
)

const (
	refresh  = time.Second
	patience = 5 * time.Second // with a daemon that does not answer
)

// live shows who reads, anew every second, until it is told to stop.
func (a *App) live(ctx context.Context, first sight, look func(context.Context) (sight, error)) error {
	ctx, unheard := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer unheard() // so that the terminal is given back as it was
	looks, stop := context.WithCancel(ctx)
	defer stop() // for whom the screen still waits
	m := &top{ctx: looks, look: look, style: lookOf(a.Out), last: first, shown: tallied(first, first), by: byBytes}
	screen := tea.NewProgram(m, tea.WithInput(a.In), tea.WithOutput(a.Out), tea.WithoutSignalHandler())
	// Not WithContext: it leaves the terminal's reader behind.
	defer context.AfterFunc(ctx, screen.Quit)()
	_, err := screen.Run()
	return err
}

// top is the screen.
type top struct {
	ctx           context.Context
	look          func(context.Context) (sight, error)
	style         look
	last          sight
	shown         tally
	by            order
	err           error // why there is nothing newer than what is shown
	width, height int   // 0: not known yet
}

// seen is one more look.
type seen struct {
	sight
	err error
}

// Init is tea.Model's.
func (m *top) Init() tea.Cmd { return m.next }

// next looks once more, a little later.
func (m *top) next() tea.Msg {
	select {
	case <-m.ctx.Done():
		return nil
	case <-time.After(refresh):
	}
	ctx, stop := context.WithTimeout(m.ctx, patience)
	defer stop()
	s, err := m.look(ctx)
	return seen{s, err}
}

// Update is tea.Model's.
func (m *top) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		switch msg.String() {
		case "q", "ctrl+c", "esc":
			return m, tea.Quit
		case "b":
			m.by = byBytes
		case "c":
			m.by = byCalls
		case "p":
			m.by = byProcess
		}
		m.shown.sort(m.by)
	case seen:
		if m.err = msg.err; m.err == nil {
			m.last, m.shown = msg.sight, tallied(m.last, msg.sight)
			m.shown.sort(m.by)
		}
		return m, m.next
	}
	return m, nil
}

// What a line of readers has beside its control group, in columns.
const besideCgroup = 78

// View is tea.Model's.
func (m *top) View() tea.View {
	v := tea.NewView(m.text())
	v.AltScreen = true
	return v
}

// text is what fits into the window.
func (m *top) text() string {
	width, height := m.width, m.height
	if width <= 0 || height <= 0 { // a terminal that does not tell
		width, height = 80, 24
	}
	var above, rows, below strings.Builder
	counted := "counting"
	if m.shown.Seconds > 0 {
		counted = "within " + seconds(m.shown.Seconds)
	}
	fmt.Fprintf(&above, "%s %s\n", m.style.title.Render("hostd rng top"), m.style.dim.Render(fmt.Sprintf("· %s · by %s · since %s",
		counted, m.by, m.shown.Since.Local().Format(time.DateTime))))
	wayTable(&above, m.style, m.shown.Ways)
	fmt.Fprintln(&above)
	readerTable(&rows, m.style, append(m.shown.Users, m.shown.others()...), max(width-besideCgroup, 20))
	for _, n := range m.shown.Notes {
		fmt.Fprintln(&below, m.style.dim.Width(width).Render("note: "+printable(n)))
	}
	if m.err != nil {
		fmt.Fprintln(&below, m.style.bad.Width(width).Render(printable(m.err.Error())))
	}
	fmt.Fprint(&below, m.style.dim.Render("q quits · sort by b bytes, c calls, p process"))

	head, foot := linesOf(above.String()), strings.Split(below.String(), "\n")
	body := linesOf(rows.String())
	body = body[:min(len(body), max(height-len(head)-len(foot), 2))]
	screen := append(append(head, body...), foot...)
	if len(screen) > height { // the last line says how to leave
		screen = append(screen[:max(height-1, 0)], foot[len(foot)-1])
	}
	fits := lipgloss.NewStyle().MaxWidth(width)
	for i, line := range screen {
		screen[i] = fits.Render(line)
	}
	return strings.Join(screen, "\n")
}

// linesOf takes printed lines apart.
func linesOf(s string) []string { return strings.Split(strings.TrimSuffix(s, "\n"), "\n") }
