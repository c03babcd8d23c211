package probe

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// How a point is attached.
const (
	Fentry = "fentry" // fentry, fexit
	Kprobe = "kprobe" // kprobe, kretprobe
)

// ErrNoFunction is none of the functions being in this kernel.
var ErrNoFunction = errors.New("no such function in this kernel")

// Function is one function of the kernel and the programs of the collection that go
// to its ends; "" is no program.
type Function struct {
	Name            string // its symbol
	Entry, Return   string // by fentry and fexit
	KEntry, KReturn string // by kprobe and kretprobe
}

// Options of Open.
type Options struct {
	Kprobe bool       // never fentry
	Types  *btf.Cache // of the kernel, where the caller has them already
}

// Set is the maps of one collection and what is attached with them. It is for one
// goroutine at a time, but for Point.Missed and the maps.
type Set struct {
	spec   *ebpf.CollectionSpec
	opts   Options
	maps   *ebpf.Collection
	points []*Point
}

// Open makes the maps of the collection, and loads no program yet.
func Open(spec *ebpf.CollectionSpec, o Options) (*Set, error) {
	maps, err := ebpf.NewCollection(&ebpf.CollectionSpec{Maps: spec.Maps, Variables: spec.Variables, Types: spec.Types, ByteOrder: spec.ByteOrder})
	if err != nil {
		return nil, fmt.Errorf("make the tables of BPF: %w", words(err))
	}
	if o.Types == nil {
		o.Types = btf.NewCache()
	}
	return &Set{spec: spec, opts: o, maps: maps}, nil
}

// Map is one of the maps, until Close; nil if the collection has none of that name.
func (s *Set) Map(name string) *ebpf.Map { return s.maps.Maps[name] }

// Attach attaches to the first of the functions that can be had, each by fentry
// before kprobes. The end is attached before the start, so that each start that is
// seen has its end seen.
func (s *Set) Attach(functions ...Function) (*Point, error) {
	var why error
	for _, f := range functions {
		p, err := s.attach(f)
		if err == nil {
			s.points = append(s.points, p)
			return p, nil
		}
		if why == nil || errors.Is(why, ErrNoFunction) && !errors.Is(err, ErrNoFunction) {
			why = err
		}
	}
	return nil, why
}

func (s *Set) attach(f Function) (*Point, error) {
	var byFentry error
	if !s.opts.Kprobe {
		p := &Point{How: Fentry, Function: f.Name}
		if byFentry = s.fentry(p, f); byFentry == nil {
			return p, nil
		}
		p.close()
	}
	p := &Point{How: Kprobe, Function: f.Name}
	byKprobe := s.kprobe(p, f)
	if byKprobe == nil {
		return p, nil
	}
	p.close()
	switch {
	case byFentry == nil:
		return nil, byKprobe
	case errors.Is(byFentry, ErrNoFunction) && errors.Is(byKprobe, ErrNoFunction):
		return nil, byFentry
	}
	return nil, fmt.Errorf("%w; %w", byFentry, byKprobe)
}

// load loads one program, with the maps of the set.
func (s *Set) load(name string, prepare func(*ebpf.ProgramSpec)) (*ebpf.Program, error) {
	spec := s.spec.Programs[name]
	if spec == nil {
		return nil, fmt.Errorf("the collection has no program %q", name)
	}
	spec = spec.Copy()
	prepare(spec)
	one, err := ebpf.NewCollectionWithOptions(&ebpf.CollectionSpec{
		Maps:      s.spec.Maps,
		Programs:  map[string]*ebpf.ProgramSpec{name: spec},
		Types:     s.spec.Types,
		ByteOrder: s.spec.ByteOrder,
	}, ebpf.CollectionOptions{
		MapReplacements: s.maps.Maps,
		Cache:           s.opts.Types,
	})
	if err != nil {
		return nil, err
	}
	defer one.Close()
	p := one.Programs[name]
	delete(one.Programs, name)
	return p, nil
}

// Done forgets the kernel's types, some megabytes, that attaching more would need
// again. What is attached stays.
func (s *Set) Done() { s.opts.Types = btf.NewCache() }

// Close detaches everything.
func (s *Set) Close() error {
	for _, p := range s.points {
		p.close()
	}
	s.points = nil
	s.maps.Close()
	return nil
}
