//go:build linux

package feeder

import (
	"errors"
	"slices"

	"headgate/guestd/pipe"
)

// openAll opens the kinds of pipe that are not open, and keeps the best first.
func (f *Feeder) openAll(stop <-chan struct{}) {
	for i, k := range pipe.Kinds() {
		if slices.ContainsFunc(f.lines, func(l *line) bool { return l.Kind() == k }) {
			continue
		}
		p, err := f.Open(k)
		if errors.Is(err, pipe.ErrNone) {
			continue
		}
		if err != nil {
			f.trouble(k, err.Error())
			continue
		}
		l := &line{Pipe: p, intake: Intake{Pool: f.Pool, Credit: f.Credit, Cycles: f.Cycles}, done: make(chan struct{}, 1)}
		f.lines = slices.Insert(f.lines, min(i, len(f.lines)), l)
		go l.receive(f.arrivals, stop)
	}
	if len(f.lines) == 0 && len(f.problem) == 0 {
		f.trouble("", noPipe)
	}
}

const noPipe = "this guest has no port named " + pipe.PortName + " and no driver behind /dev/hwrng: " +
	"give it a virtio-serial port or a virtio-rng device, and load virtio_console or virtio_rng; " +
	"and it is no domain of Xen's that could offer a vchan"

const notEnough = "mixed, but not enough was credited: the kernel's generator is not ready: " +
	"see what the host or rng_quality claims for the bytes, and --credit"

// drop closes a line that ended; it is opened again at the next request.
func (f *Feeder) drop(l *line) {
	_ = l.Close()
	f.lines = slices.DeleteFunc(f.lines, func(o *line) bool { return o == l })
	f.asked = min(f.asked, len(f.lines))
}

func (f *Feeder) closeAll() {
	for _, l := range f.lines {
		_ = l.Close()
	}
	f.lines = nil
}

// trouble records what is wrong with a pipe and logs it if it is news.
func (f *Feeder) trouble(k pipe.Kind, text string) {
	if f.problem[k] == text {
		return
	}
	f.problem[k] = text
	f.record.Error = text
	f.Warn(text)
	f.Changed(f.record)
}

// well forgets what was wrong with a pipe, for it brought fresh bytes.
func (f *Feeder) well(k pipe.Kind) {
	delete(f.problem, k)
	delete(f.problem, "")
	f.record.Error = ""
	for _, text := range f.problem {
		f.record.Error = text
	}
}

// why says what stood in the way of a seed.
func (f *Feeder) why() error {
	switch {
	case f.record.Failures > 0:
		return errors.New(f.record.Pipe + ": " + f.record.Health + ": mixed without credit")
	case f.problem[""] == notEnough:
		return errors.New(f.record.Pipe + ": " + notEnough)
	case f.record.Error != "":
		return errors.New(f.record.Error)
	case len(f.lines) > 0:
		return errors.New(f.lines[0].Path() + ": " + ErrTimeout.Error() + ": is hostd running, and has it a source?")
	}
	return ErrTimeout
}
