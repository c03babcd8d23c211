package vhost

import (
	"encoding/binary"
	"fmt"

	"headgate/kvm/virtq"
)

// Requests of a front end (vhost-user.rst, "Front-end message types"; the numbers are
// those of VhostUserRequest, QEMU's hw/virtio/vhost-user.c).
const (
	getFeatures         = 1
	setFeatures         = 2
	setOwner            = 3
	resetOwner          = 4
	setMemTable         = 5
	setLogBase          = 6
	setLogFD            = 7
	setVringNum         = 8
	setVringAddr        = 9
	setVringBase        = 10
	getVringBase        = 11
	setVringKick        = 12
	setVringCall        = 13
	setVringErr         = 14
	getProtocolFeatures = 15
	setProtocolFeatures = 16
	getQueueNum         = 17
	setVringEnable      = 18
)

// The header: request, flags and size of what follows, 32 bits each.
const (
	headerSize = 12

	version     = 1 // in the lowest two bits of the flags
	versionMask = 3
	flagReply   = 1 << 2
	flagNeed    = 1 << 3 // an answer is wanted, whatever was negotiated
)

const (
	// maxPayload is the longest that is taken: a memory table, 8 bytes and 32 for
	// each region. No request of an entropy device is longer.
	maxPayload = 8 + 32*virtq.MaxRegions
	// maxDescriptors is how many come with a message at most: a file for each region.
	maxDescriptors = virtq.MaxRegions
)

// message is a front end's request. Its payload is overwritten by the next one.
type message struct {
	request, flags uint32
	payload        []byte
	fds            []int // those that are not taken are closed
}

// header reads a message's header, and says how long its payload is.
func (m *message) header(b []byte) (size int, err error) {
	m.request, m.flags = binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	n := binary.LittleEndian.Uint32(b[8:])
	switch {
	case m.flags&versionMask != version:
		return 0, fmt.Errorf("message %d is of version %d of vhost-user, and 1 is known", m.request, m.flags&versionMask)
	case m.flags&flagReply != 0:
		return 0, fmt.Errorf("message %d is an answer, and nothing was asked", m.request)
	case n > maxPayload:
		return 0, fmt.Errorf("message %d has %d bytes, at most %d are taken", m.request, n, maxPayload)
	}
	return int(n), nil
}

// needsReply says whether the front end waits to hear how it went.
func (m *message) needsReply() bool { return m.flags&flagNeed != 0 }

// u32 and u64 read the payload, which has been found long enough.
func (m *message) u32(at int) uint32 { return binary.LittleEndian.Uint32(m.payload[at:]) }
func (m *message) u64(at int) uint64 { return binary.LittleEndian.Uint64(m.payload[at:]) }

// take gives the one descriptor that came with the message to the caller; -1: none
// came.
func (m *message) take() int {
	if len(m.fds) == 0 {
		return -1
	}
	fd := m.fds[0]
	m.fds = m.fds[1:]
	return fd
}

// memoryRegion is one entry of a memory table (vhost-user.rst, "Memory region
// description").
type memoryRegion struct {
	guest, size, user uint64
	offset            uint64 // in the file that came with it
}

// table reads a memory table: number of regions, padding, regions.
func (m *message) table() ([]memoryRegion, error) {
	if len(m.payload) < 8 {
		return nil, fmt.Errorf("memory table: it has %d bytes", len(m.payload))
	}
	n := m.u32(0)
	if n == 0 || n > virtq.MaxRegions || len(m.payload) != 8+32*int(n) || len(m.fds) != int(n) {
		return nil, fmt.Errorf("memory table: %d regions in %d bytes, with %d files", n, len(m.payload), len(m.fds))
	}
	regions := make([]memoryRegion, n)
	for i := range regions {
		at := 8 + 32*i
		regions[i] = memoryRegion{m.u64(at), m.u64(at + 8), m.u64(at + 16), m.u64(at + 24)}
	}
	return regions, nil
}
