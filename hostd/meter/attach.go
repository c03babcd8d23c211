package meter

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cilium/ebpf/btf"

	"headgate/hostd/probe"
)

// Meter is attached to the kernel until Close, or until the process ends however it
// ends.
type Meter struct {
	since time.Time
	at    []point // in the order of Ways
	notes []string
	// leaders is whether rows have the name of the whole process, not of its thread.
	leaders bool

	mu     sync.Mutex // of all below
	set    *probe.Set // nil once closed
	table  table
	names  *names
	living map[seat]*sitter // of the last Read
	ended  ended
}

// point is where one way is counted, or why it is not.
type point struct {
	points []*probe.Point
	why    string
	lacks  []string // what of it is not counted, a sentence each
}

// Attach attaches the programs. A way that cannot be seen is no error as long as
// there is one that can: Read tells which and why.
func Attach(o Options) (_ *Meter, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("meter: %w", err)
		}
	}()
	spec, err := loadMeter()
	if err != nil {
		return nil, err
	}
	types := btf.NewCache()
	leaders := setLeader(spec, types) == nil // a kernel without BTF: threads have their own names
	set, err := probe.Open(spec, probe.Options{Kprobe: o.Kprobe, Types: types})
	if err != nil {
		return nil, err
	}
	m := &Meter{since: time.Now(), notes: notes(), leaders: leaders, set: set, names: newNames(o.PIDFile)}
	var seen bool
	for _, h := range hooks {
		p, why := attach(set, h)
		m.at, m.notes = append(m.at, p), append(m.notes, p.lacks...)
		seen = seen || why == nil
		err = why
	}
	set.Done()
	if seen {
		m.table, err = openTable(set)
	}
	if err != nil {
		return nil, errors.Join(err, set.Close())
	}
	return m, nil
}

func attach(set *probe.Set, h hook) (point, error) {
	p, err := set.Attach(h.functions...)
	if errors.Is(err, probe.ErrNoFunction) && h.absent != "" {
		return point{why: h.absent}, err
	}
	if err != nil {
		return point{why: err.Error()}, err
	}
	at := point{points: []*probe.Point{p}}
	for _, f := range h.beside {
		p, err := set.Attach(f)
		switch {
		case err == nil:
			at.points = append(at.points, p)
		case !errors.Is(err, probe.ErrNoFunction): // which no kernel has to have
			at.lacks = append(at.lacks, fmt.Sprintf("%s by %s is not seen: %v", h.way, f.Name, err))
		}
	}
	return at, nil
}

// Close detaches the programs and forgets what they counted. Read then fails with
// os.ErrClosed.
func (m *Meter) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.set == nil {
		return nil
	}
	err := m.set.Close()
	m.set = nil
	return err
}
