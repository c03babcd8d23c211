package vhosttest

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Memory is a guest's, shared with the device through a file that has no name.
type Memory struct {
	Bytes []byte // as the guest sees it
	FD    int    // the file
}

// NewMemory makes some of size bytes, all zero.
func NewMemory(size int) (*Memory, error) {
	fd, err := unix.MemfdCreate("guest", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make the guest's memory: %w", err)
	}
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("make %d bytes of guest memory: %w", size, err)
	}
	bytes, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("map %d bytes of guest memory: %w", size, err)
	}
	return &Memory{Bytes: bytes, FD: fd}, nil
}

// Close gives the memory back; the device may still have it mapped.
func (m *Memory) Close() error {
	err := unix.Munmap(m.Bytes)
	m.Bytes = nil
	if closeErr := unix.Close(m.FD); err == nil {
		err = closeErr
	}
	return err
}

// load reads a 16-bit number that the device may write at the same time. The order
// of such loads and stores is what both sides see (virtio 1.2, section 2.7.13.3 asks
// for barriers); Go has them for 32 bits and more alone.
func (m *Memory) load(at uint64) uint16 {
	return uint16(atomic.LoadUint32(m.word(at)) >> (8 * (at & 2)))
}

// store writes a 16-bit number that the device may read at the same time. Nobody
// else may write to the four bytes around it.
func (m *Memory) store(at uint64, v uint16) {
	shift := 8 * (at & 2)
	word := m.word(at)
	atomic.StoreUint32(word, atomic.LoadUint32(word)&^(0xffff<<shift)|uint32(v)<<shift)
}

func (m *Memory) word(at uint64) *uint32 {
	b := m.Bytes[at&^3:][:4]
	return (*uint32)(unsafe.Pointer(&b[0])) // the mapping begins at a page
}

// Put16, Put32 and Put64 write a number at an offset in a virtio device's order.
func (m *Memory) Put16(at uint64, v uint16) { binary.LittleEndian.PutUint16(m.Bytes[at:], v) }

// Put32 writes 32 bits.
func (m *Memory) Put32(at uint64, v uint32) { binary.LittleEndian.PutUint32(m.Bytes[at:], v) }

// Put64 writes 64 bits.
func (m *Memory) Put64(at uint64, v uint64) { binary.LittleEndian.PutUint64(m.Bytes[at:], v) }

// Get32 reads 32 bits.
func (m *Memory) Get32(at uint64) uint32 { return binary.LittleEndian.Uint32(m.Bytes[at:]) }
