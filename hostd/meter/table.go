package meter

import (
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf"

	"headgate/hostd/probe"
)

// The kernel's side is meterReader, a key of the table, and meterCount, its value on
// each CPU, both made from meter.c.

// batch is how many rows are asked for at once. It bounds the memory of one look:
// 16 bytes for each of them and of the CPUs.
const batch = 256

// table is the kernel's counters.
type table struct {
	readers, others *ebpf.Map
	cpus            int
}

func openTable(set *probe.Set) (table, error) {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return table{}, fmt.Errorf("count the processors: %w", err)
	}
	return table{readers: set.Map(meterMapReaders), others: set.Map(meterMapOthers), cpus: cpus}, nil
}

// row is one of the table.
type row struct {
	meterReader
	meterCount // of all CPUs
}

// rows are all of the table. One that comes or goes meanwhile may be there or not; all
// others are, once.
func (t table) rows() ([]row, error) {
	var (
		all    []row
		cursor ebpf.MapBatchCursor
		keys   = make([]meterReader, batch)
		counts = make([]meterCount, batch*t.cpus)
	)
	for {
		n, err := t.readers.BatchLookup(&cursor, keys, counts, nil)
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return nil, unread(err)
		}
		for i, k := range keys[:n] {
			all = append(all, row{k, sum(counts[i*t.cpus:][:t.cpus])})
		}
		if err != nil { // the end
			return all, nil
		}
	}
}

// take removes a row to which nobody adds any more, and gives what was in it.
func (t table) take(k meterReader) (meterCount, error) {
	counts := make([]meterCount, t.cpus)
	if err := t.readers.LookupAndDelete(k, counts); err != nil {
		return meterCount{}, unread(err)
	}
	return sum(counts), nil
}

// other is the row of those that found no room in the table.
func (t table) other(way int) (meterCount, error) {
	counts := make([]meterCount, t.cpus)
	if err := t.others.Lookup(uint32(way), counts); err != nil {
		return meterCount{}, unread(err)
	}
	return sum(counts), nil
}

func sum(counts []meterCount) (all meterCount) {
	for _, c := range counts {
		all.Bytes += c.Bytes
		all.Calls += c.Calls
	}
	return all
}

// unread says why the counters cannot be read. Linux before 5.19 refuses every bpf(2)
// to who has no CAP_BPF where the setting says so, also on a descriptor that it
// holds; later ones only what makes something new (kernel/bpf/syscall.c).
func unread(err error) error {
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("read the counters: Linux before 5.19 takes CAP_BPF for that, too, where kernel.unprivileged_bpf_disabled is set: %w", err)
	}
	return fmt.Errorf("read the counters: %w", err)
}
