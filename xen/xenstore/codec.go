package xenstore

import (
	"encoding/binary"
	"errors"
)

// enum xsd_sockmsg_type, xs_wire.h.
const (
	opDirectory        = 1
	opRead             = 2
	opGetPerms         = 3
	opWatch            = 4
	opUnwatch          = 5
	opTransactionStart = 6
	opTransactionEnd   = 7
	opGetDomainPath    = 10
	opWrite            = 11
	opMkdir            = 12
	opRemove           = 13
	opSetPerms         = 14
	opWatchEvent       = 15
	opError            = 16
	opDirectoryPart    = 21
)

const (
	headerLen  = 16   // struct xsd_sockmsg
	payloadMax = 4096 // XENSTORE_PAYLOAD_MAX
	messageMax = headerLen + payloadMax
)

var errOversized = errors.New("a message of more than 4096 bytes")

// header is struct xsd_sockmsg without the length. It is in the machine's byte
// order, and all machines that Xen runs Linux on are little-endian.
type header struct {
	op  uint32
	req uint32 // the reply to a request has the same
	tx  uint32 // 0: in no transaction
}

// appendMessage appends one message whose payload is the parts, one after the
// other. The caller has seen to it that they are at most payloadMax.
func appendMessage(dst []byte, h header, parts ...string) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	dst = binary.LittleEndian.AppendUint32(dst, h.op)
	dst = binary.LittleEndian.AppendUint32(dst, h.req)
	dst = binary.LittleEndian.AppendUint32(dst, h.tx)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(n))
	for _, p := range parts {
		dst = append(dst, p...)
	}
	return dst
}

// nextMessage takes the message that b begins with: its header, its payload (which
// aliases b) and the size of both. A size of 0 says that it is not whole yet; it will
// be in at most messageMax bytes.
func nextMessage(b []byte) (h header, payload []byte, size int, err error) {
	if len(b) < headerLen {
		return header{}, nil, 0, nil
	}
	n := binary.LittleEndian.Uint32(b[12:])
	if n > payloadMax {
		return header{}, nil, 0, errOversized
	}
	size = headerLen + int(n)
	if len(b) < size {
		return header{}, nil, 0, nil
	}
	h = header{
		op:  binary.LittleEndian.Uint32(b),
		req: binary.LittleEndian.Uint32(b[4:]),
		tx:  binary.LittleEndian.Uint32(b[8:]),
	}
	return h, b[headerLen:size], size, nil
}
