package probe

import (
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// Point is a function that programs are attached to.
type Point struct {
	How      string // Fentry or Kprobe
	Function string // its symbol

	programs []*ebpf.Program
	links    []link.Link
}

// fentry attaches the programs of f by the trampoline of its function.
func (s *Set) fentry(p *Point, f Function) error {
	if _, err := os.Stat(kernelTypes); err != nil {
		return errors.New("no fentry: this kernel does not describe its types (CONFIG_DEBUG_INFO_BTF)")
	}
	at := func(name string, typ ebpf.AttachType) error {
		if name == "" {
			return nil
		}
		program, err := s.load(name, func(spec *ebpf.ProgramSpec) {
			spec.Type, spec.AttachType, spec.AttachTo = ebpf.Tracing, typ, f.Name
		})
		if errors.Is(err, ebpf.ErrNotSupported) {
			return fmt.Errorf("fentry of %s: %w", f.Name, ErrNoFunction)
		} else if err != nil {
			return fmt.Errorf("fentry of %s: %w", f.Name, words(err))
		}
		p.programs = append(p.programs, program)
		l, err := link.AttachTracing(link.TracingOptions{Program: program})
		if err != nil {
			return fmt.Errorf("fentry of %s: %w", f.Name, words(err))
		}
		p.links = append(p.links, l)
		return nil
	}
	if err := at(f.Return, ebpf.AttachTraceFExit); err != nil {
		return err
	}
	return at(f.Entry, ebpf.AttachTraceFEntry)
}

// kprobe attaches the programs of f by perf's kprobes, which need no tracefs and are
// gone with their descriptors.
func (s *Set) kprobe(p *Point, f Function) error {
	if _, err := os.Stat(kprobeEvents); err != nil {
		return errors.New("no kprobes: this kernel has none (CONFIG_KPROBE_EVENTS)")
	}
	at := func(name string, attach func(string, *ebpf.Program, *link.KprobeOptions) (link.Link, error)) error {
		if name == "" {
			return nil
		}
		program, err := s.load(name, func(spec *ebpf.ProgramSpec) {
			spec.Type, spec.AttachTo = ebpf.Kprobe, ""
		})
		if err != nil {
			return fmt.Errorf("kprobe of %s: %w", f.Name, words(err))
		}
		p.programs = append(p.programs, program)
		l, err := attach(f.Name, program, nil)
		if errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("kprobe of %s: %w", f.Name, ErrNoFunction)
		} else if err != nil {
			return fmt.Errorf("kprobe of %s: %w", f.Name, words(err))
		}
		p.links = append(p.links, l)
		return nil
	}
	if err := at(f.KReturn, link.Kretprobe); err != nil {
		return err
	}
	return at(f.KEntry, link.Kprobe)
}

// Missed is how many calls the kernel knows of that it did not run the programs for:
// of fentry since Linux 5.12, of kprobes since 6.7. Not after Close.
func (p *Point) Missed() (n uint64) {
	for _, program := range p.programs {
		if st, err := program.Stats(); err == nil {
			n += st.RecursionMisses
		}
	}
	if p.How != Kprobe {
		return n
	}
	for _, l := range p.links {
		info, err := l.Info()
		if err != nil {
			continue
		}
		if event := info.PerfEvent(); event != nil && event.Kprobe() != nil {
			n += event.Kprobe().Missed
		}
	}
	return n
}

func (p *Point) close() {
	for _, l := range p.links {
		_ = l.Close() // a descriptor of a link: closing it is all there is
	}
	for _, program := range p.programs {
		_ = program.Close()
	}
	p.links, p.programs = nil, nil
}
