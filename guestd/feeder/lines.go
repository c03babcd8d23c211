//go:build linux

package feeder

import (
	"errors"
	"slices"

	"headgate/guestd/pipe"
)

// openAll opens the kinds of pipe that are not open, and keeps the best first.
func (f *Feeder) openAll(stop <-chan struct{}) {
	better := 0
	for _, k := range pipe.Kinds() {
		if slices.ContainsFunc(f.lines, func(l *line) bool { return l.Kind() == k }) {
			better++
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
		l := &line{Pipe: p, intake: Intake{Pool: f.pool, Credit: f.Credit, Cycles: f.Cycles}}
		f.lines = slices.Insert(f.lines, better, l)
		better++
		f.opened(k)
		go l.receive(f.arrivals, stop)
	}
	if len(f.lines) == 0 && len(f.problem) == 0 {
		f.trouble("", noPipe)
	}
}

// opened takes note of a pipe on which the host can push: the sign of a clone that
// comes first.
func (f *Feeder) opened(k pipe.Kind) {
	if k != pipe.HWRNGKind && !slices.Contains(f.pushes, k) {
		f.pushes = append(f.pushes, k)
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
	f.changed()
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
