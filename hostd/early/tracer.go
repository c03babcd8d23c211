//go:build linux

package early

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"

	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/ringbuf"

	"headgate/hostd/probe"
)

// tracer is early.c in the kernel.
type tracer struct {
	set    *probe.Set
	points []*probe.Point
	reader *ringbuf.Reader
	unseen []string // ways that this kernel does not let us see, and why
	how    string
	last   atomic.Int64 // Seconds by boottime: what ended later is not read any more; 0: all is
}

// functions are what is attached to: of each, the first that the kernel has.
func functions() map[Way][]probe.Function {
	getrandom := func(name, begin string) probe.Function {
		return probe.Function{Name: name, Entry: begin + "_begin", Return: "getrandom_end", KEntry: begin + "_kbegin", KReturn: "getrandom_kend"}
	}
	device := func(name string) []probe.Function {
		of := func(function, kind string) probe.Function {
			return probe.Function{Name: function, Entry: kind + "_begin", Return: kind + "_end", KEntry: kind + "_kbegin", KReturn: name + "_kend"}
		}
		return []probe.Function{of(name+"_read_iter", name+"_iter"), of(name+"_read", name)}
	}
	all := map[Way][]probe.Function{Random: device("random"), Urandom: device("urandom")}
	if runtime.GOARCH == "arm64" {
		all[Getrandom] = []probe.Function{getrandom("__arm64_sys_getrandom", "getrandom")}
	} else {
		all[Getrandom] = []probe.Function{getrandom("__x64_sys_getrandom", "getrandom")}
		all[getrandom32] = []probe.Function{getrandom("__ia32_sys_getrandom", "getrandom32")}
	}
	return all
}

// getrandom32 is a 32-bit program's, which no kernel has to have.
const getrandom32 Way = "getrandom of 32-bit programs"

// kprobesFirst is how programs are attached, the first that this kernel has: fentry takes
// three times as long as kprobes, and would be attached later in the boot.
var kprobesFirst = []probe.Options{{Kprobe: true}, {}}

// attach attaches the ends of calls before their starts. The error is that of the last
// way: fentry's has both reasons.
func attach(ways []probe.Options) (t *tracer, err error) {
	for _, o := range ways {
		if t, err = attachBy(o); err == nil {
			break
		}
	}
	return t, err
}

func attachBy(o probe.Options) (_ *tracer, err error) {
	spec, err := loadEarly()
	if err != nil {
		return nil, fmt.Errorf("read the programs of BPF: %w", err)
	}
	t := &tracer{}
	if t.set, err = probe.Open(spec, o); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			t.close()
		}
	}()
	if t.reader, err = ringbuf.NewReader(t.set.Map("records")); err != nil {
		return nil, fmt.Errorf("read the records of BPF: %w", err)
	}
	var why error
	all := functions()
	for _, way := range []Way{Getrandom, Urandom, Random, getrandom32} {
		if all[way] == nil {
			continue
		}
		point, err := t.set.Attach(all[way]...)
		switch {
		case err == nil:
			t.points = append(t.points, point)
			t.how = point.How
		case way != getrandom32 || !errors.Is(err, probe.ErrNoFunction):
			t.unseen = append(t.unseen, fmt.Sprintf("%s is not seen: %v", way, err))
			if why == nil {
				why = err
			}
		}
	}
	t.set.Done()
	if len(t.points) == 0 {
		return nil, why
	}
	return t, nil
}

// learn has the programs see what is asked of the devices from now on. Before, and
// where the kernel does not tell, they see what the devices gave.
func (t *tracer) learn() error {
	at, err := iterCount()
	if err == nil {
		err = t.set.Map("iter_count_at").Put(uint32(0), at)
	}
	if err != nil {
		return fmt.Errorf("what is asked of /dev/random and /dev/urandom is not seen, but what they gave: %w", err)
	}
	return nil
}

// iterCount is where struct iov_iter has its count: in an unnamed union since Linux 6.4.
func iterCount() (uint64, error) {
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		return 0, fmt.Errorf("this kernel does not describe its types (BTF, CONFIG_DEBUG_INFO_BTF): %w", err)
	}
	var iter *btf.Struct
	if err := spec.TypeByName("iov_iter", &iter); err != nil {
		return 0, err
	}
	if at, ok := probe.Member(iter.Members, "count"); ok {
		return uint64(at), nil
	}
	return 0, errors.New("struct iov_iter has no count in this kernel")
}

// read gives each record to to, and returns after flush when there is none left from
// before: of a process that asks without an end there always is one more.
func (t *tracer) read(to func(record)) {
	var raw ringbuf.Record
	for {
		if err := t.reader.ReadInto(&raw); err != nil {
			return
		}
		r, err := parseRecord(raw.RawSample)
		if err != nil {
			continue
		}
		if last := t.last.Load(); last != 0 && int64(r.end) > last {
			return
		}
		to(r)
	}
}

func (t *tracer) flush() {
	if now, err := boottime(); err == nil {
		t.last.Store(int64(now))
	}
	_ = t.reader.Flush()
}

// open is the calls that have not ended.
func (t *tracer) open() (all []record) {
	var call [callSize]byte
	var asked [askedSize]byte
	each := t.set.Map("calls").Iterate()
	for each.Next(&call, &asked) {
		if r, err := parseOpen(call[:], asked[:]); err == nil {
			all = append(all, r)
		}
	}
	return all
}

// lost is how many calls are not seen.
func (t *tracer) lost() (n uint64) {
	for i := range uint32(2) {
		var of uint64
		if err := t.set.Map("lost").Lookup(i, &of); err == nil {
			n += of
		}
	}
	for _, p := range t.points {
		n += p.Missed()
	}
	return n
}

func (t *tracer) close() {
	if t.reader != nil {
		_ = t.reader.Close()
	}
	_ = t.set.Close()
}
