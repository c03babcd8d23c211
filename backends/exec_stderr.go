package backends

import (
	"os"
	"strings"
	"sync"
	"time"
)

const (
	stderrLines = 3   // that are kept, the last ones
	stderrLine  = 200 // bytes of each
	stderrChunk = 1024

	// stderrPause follows each chunk: 40 kB/s are more than any sensible command says.
	// One that says more waits for it.
	stderrPause = 25 * time.Millisecond
)

// lastWords reads what a command says on its standard error, and keeps the last few
// lines of it, which mostly say why it ended. They are plain text, whatever it wrote:
// they go to logs and terminals.
type lastWords struct {
	file  *os.File
	hurry chan struct{} // closed when the command has ended
	done  chan struct{} // closed when there is nothing more to read

	mu    sync.Mutex
	lines []string
	line  []byte // the one that is being said
}

func newLastWords(file *os.File) *lastWords {
	return &lastWords{file: file, hurry: make(chan struct{}), done: make(chan struct{})}
}

// listen reads until the end.
func (w *lastWords) listen() {
	defer close(w.done)
	pause := time.NewTimer(0)
	defer pause.Stop()
	for buf := make([]byte, stderrChunk); ; {
		n, err := w.file.Read(buf)
		w.take(buf[:n])
		if err != nil {
			return
		}
		pause.Reset(stderrPause)
		select {
		case <-pause.C:
		case <-w.hurry:
		}
	}
}

// take cuts what is said into lines, and no line is longer than it may be.
func (w *lastWords) take(said []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, b := range said {
		switch {
		case b == '\n' || b == '\r':
			w.finish()
			continue
		case b == '\t':
			b = ' '
		case b < ' ' || b > '~':
			b = '?'
		}
		if len(w.line) < stderrLine {
			w.line = append(w.line, b)
		}
	}
}

// finish keeps the line that was said. w.mu is held.
func (w *lastWords) finish() {
	line := strings.TrimSpace(string(w.line))
	w.line = w.line[:0]
	if line == "" {
		return
	}
	if len(w.lines) == stderrLines {
		w.lines = append(w.lines[:0], w.lines[1:]...)
	}
	w.lines = append(w.lines, line)
}

// end waits for the rest of what an ended command said: not for long, since what it
// has left behind may go on, and not at all once nobody wants to know.
func (w *lastWords) end(unwanted <-chan struct{}) {
	close(w.hurry)
	rest := time.NewTimer(execRest)
	defer rest.Stop()
	select {
	case <-w.done:
	case <-rest.C:
	case <-unwanted:
	}
	w.close()
	<-w.done
}

func (w *lastWords) close() { _ = w.file.Close() }

// String is all that was kept, on one line.
func (w *lastWords) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.finish()
	return strings.Join(w.lines, "; ")
}
