package vhosttest

import (
	"encoding/binary"
	"fmt"
)

// Request is what a message asks for (vhost-user.rst, "Front-end message types").
type Request uint32

// The requests that QEMU sends to an rng device, and those that it does not.
const (
	GetFeatures         Request = 1
	SetFeatures         Request = 2
	SetOwner            Request = 3
	ResetOwner          Request = 4
	SetMemTable         Request = 5
	SetLogBase          Request = 6
	SetLogFD            Request = 7
	SetVringNum         Request = 8
	SetVringAddr        Request = 9
	SetVringBase        Request = 10
	GetVringBase        Request = 11
	SetVringKick        Request = 12
	SetVringCall        Request = 13
	SetVringErr         Request = 14
	GetProtocolFeatures Request = 15
	SetProtocolFeatures Request = 16
	GetQueueNum         Request = 17
	SetVringEnable      Request = 18
	SendRARP            Request = 19
	NetSetMTU           Request = 20
	SetBackendReqFD     Request = 21
	GetConfig           Request = 24
	SetConfig           Request = 25
	GetInflightFD       Request = 31
	SetInflightFD       Request = 32
	ResetDevice         Request = 34
	GetMaxMemSlots      Request = 36
	AddMemReg           Request = 37
	RemMemReg           Request = 38
	SetStatus           Request = 39
	GetStatus           Request = 40
)

// Flags of a message's header (vhost-user.rst, "Header").
const (
	Version   = 1 // in bits 0 and 1
	Reply     = 1 << 2
	NeedReply = 1 << 3
)

// Feature bits (linux/virtio_config.h, linux/virtio_ring.h, linux/vhost_types.h,
// vhost-user.rst).
const (
	FeatureLogAll           = 1 << 26
	FeatureIndirect         = 1 << 28
	FeatureEventIdx         = 1 << 29
	FeatureProtocolFeatures = 1 << 30
	FeatureVersion1         = 1 << 32
)

// Protocol feature bits (vhost-user.rst, "Protocol features").
const (
	ProtocolMQ                = 1 << 0
	ProtocolReplyAck          = 1 << 3
	ProtocolConfigureMemSlots = 1 << 15
)

// NoFD in the payload of SET_VRING_KICK, CALL and ERR says that no descriptor comes
// with it (vhost-user.rst, "A vring descriptor index for..": bit 8).
const NoFD = 1 << 8

// headerSize is request, flags and size, in bytes.
const headerSize = 12

// maxReply is the longest reply that the front takes, in bytes.
const maxReply = 4096

// Message is one of either side.
type Message struct {
	Request Request
	Flags   uint32
	Payload []byte
}

// Bytes is the message as it is sent: all numbers are in the machine's own order.
func (m Message) Bytes() []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(m.Request))
	b = binary.NativeEndian.AppendUint32(b, m.Flags)
	b = binary.NativeEndian.AppendUint32(b, uint32(len(m.Payload)))
	return append(b, m.Payload...)
}

// U64 is the payload as one number.
func (m Message) U64() (uint64, error) {
	if len(m.Payload) != 8 {
		return 0, fmt.Errorf("the answer to request %d has %d bytes, not 8", m.Request, len(m.Payload))
	}
	return binary.NativeEndian.Uint64(m.Payload), nil
}

// Words is a payload of 32-bit numbers: a vring's index and state.
func Words(v ...uint32) (b []byte) {
	for _, w := range v {
		b = binary.NativeEndian.AppendUint32(b, w)
	}
	return b
}

// Longs is a payload of 64-bit numbers.
func Longs(v ...uint64) (b []byte) {
	for _, w := range v {
		b = binary.NativeEndian.AppendUint64(b, w)
	}
	return b
}

// Region is one part of the guest's memory, as SET_MEM_TABLE says it.
type Region struct {
	Guest  uint64 // its address in the guest
	Size   uint64
	User   uint64 // its address in the front end
	Offset uint64 // where it begins in its file
	FD     int
}

// MemTable is the payload of SET_MEM_TABLE, and the descriptors that go with it.
func MemTable(regions ...Region) (payload []byte, fds []int) {
	payload = Words(uint32(len(regions)), 0)
	for _, r := range regions {
		payload = append(payload, Longs(r.Guest, r.Size, r.User, r.Offset)...)
		fds = append(fds, r.FD)
	}
	return payload, fds
}
