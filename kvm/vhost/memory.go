package vhost

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"headgate/kvm/virtq"
)

// A process has 128 TiB of addresses (Documentation/arch/x86/x86_64/mm.rst), and a
// file in memory costs nothing to be made longer than that. What all guests may have
// mapped leaves room for hostd itself, and for other guests what one of them may.
const (
	maxMapped = 8 << 40  // bytes, of one front end
	allMapped = 64 << 40 // of all together
)

var mappedBytes atomic.Int64

// sane is how much memory a guest may be said to have on this host, in bytes: far more
// than it can have. Each stretch of it that is touched costs hostd a page of addresses,
// which Linux before 6.14 does not take back (MADV_DONTNEED, mm/pt_reclaim.c).
var sane = sync.OnceValue(func() int64 {
	var host unix.Sysinfo_t
	if err := unix.Sysinfo(&host); err != nil {
		return maxMapped
	}
	return int64(min(4*(host.Totalram+host.Totalswap)*uint64(host.Unit), maxMapped))
})

// memory is a guest's memory, mapped.
type memory struct {
	*virtq.Memory
	mapped [][]byte
	bytes  int64
}

// mapMemory maps the files that came with a memory table. It takes none of them.
func mapMemory(table []memoryRegion, fds []int) (*memory, error) {
	m := &memory{}
	var regions []virtq.Region
	for i, r := range table {
		b, err := m.mapRegion(r, fds[i])
		if err != nil {
			m.unmap()
			return nil, fmt.Errorf("memory table: region at %#x: %w", r.guest, err)
		}
		regions = append(regions, virtq.Region{Guest: r.guest, User: r.user, Bytes: b})
	}
	var err error
	if m.Memory, err = virtq.NewMemory(regions); err != nil {
		m.unmap()
		return nil, err
	}
	return m, nil
}

// Files that are memory (statfs(2)).
const (
	tmpfs     = unix.TMPFS_MAGIC
	hugetlbfs = unix.HUGETLBFS_MAGIC
)

// mapRegion maps one region, from the page on in which it begins.
func (m *memory) mapRegion(r memoryRegion, fd int) ([]byte, error) {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return nil, fmt.Errorf("its file: %w", err)
	}
	if fs.Type != tmpfs && fs.Type != hugetlbfs {
		return nil, errors.New("its file is not in memory (memfd, tmpfs or hugetlbfs): touching it could take as long as a disk does")
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("its file: %w", err)
	}
	size, page := uint64(max(st.Size, 0)), uint64(max(st.Blksize, 1)) // of hugetlbfs: that of its pages
	switch {
	case r.size == 0 || r.offset > size || r.size > size-r.offset:
		// What is beyond its end would be a fault (SIGBUS) when it is touched.
		return nil, fmt.Errorf("it is %d bytes at %d of a file of %d", r.size, r.offset, size)
	case size > maxMapped:
		return nil, fmt.Errorf("its file has %d bytes, at most %d can be mapped", size, int64(maxMapped))
	}
	start := r.offset / page * page
	length := (r.offset + r.size - start + page - 1) / page * page
	if err := m.reserve(int64(length)); err != nil {
		return nil, err
	}
	b, err := unix.Mmap(fd, int64(start), int(length), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map it: %w", err)
	}
	m.mapped = append(m.mapped, b)
	// hostd keeps all its own memory out of swap and out of core dumps; of the guest's
	// only the latter is its business. Neither can be refused.
	_ = unix.Munlock(b)
	_ = unix.Madvise(b, unix.MADV_DONTDUMP)
	return b[r.offset-start:][:r.size:r.size], nil
}

// reserve counts what is about to be mapped.
func (m *memory) reserve(n int64) error {
	if m.bytes+n > sane() {
		return fmt.Errorf("the guest has more than the %d bytes that can be mapped", sane())
	}
	m.bytes += n
	if mappedBytes.Add(n) > allMapped {
		return fmt.Errorf("all guests together have more than the %d bytes that can be mapped", int64(allMapped))
	}
	return nil
}

// release has the pages that were touched not count as hostd's own any more; they stay
// as they are, and are there when they are touched again.
func (m *memory) release() {
	for _, b := range m.mapped {
		_ = unix.Madvise(b, unix.MADV_DONTNEED) // huge pages are left before Linux 5.18
	}
}

// unmap gives all of it back. Nobody uses it any more. nil is no memory.
func (m *memory) unmap() {
	if m == nil {
		return
	}
	for _, b := range m.mapped {
		_ = unix.Munmap(b) // it was mapped like that
	}
	mappedBytes.Add(-m.bytes)
	m.mapped, m.bytes = nil, 0
}

// holds says whether an address of this process is in it.
func (m *memory) holds(addr uintptr) bool {
	for _, b := range m.mapped {
		if addr-uintptr(unsafe.Pointer(&b[0])) < uintptr(len(b)) {
			return true
		}
	}
	return false
}
