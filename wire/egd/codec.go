package egd

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The opcodes of EGD 0.9, as in egd.pl and in QEMU's backends/rng-egd.c, which
// sends OpRead alone.
const (
	OpLevel        = 0x00 // how many bits are available
	OpReadNonblock = 0x01 // up to n bytes, at once
	OpRead         = 0x02 // exactly n bytes
	OpWrite        = 0x03 // the client pushes entropy
	OpPID          = 0x04 // process id of the server
)

// MaxData is the most bytes that one request can ask for or push: its length
// is one byte.
const MaxData = 255

// ErrGarbage is returned for an opcode that is none of the five. What follows
// it cannot be parsed: EGD has no way to find the next request.
var ErrGarbage = errors.New("not an egd opcode")

// A Request is the head of one request. The data of an OpWrite follow it and
// are no part of it.
type Request struct {
	Op   byte
	N    uint8  // bytes asked for (OpReadNonblock, OpRead) or following (OpWrite)
	Bits uint16 // entropy that an OpWrite claims for its data
}

// ParseRequest reads the head of a request from the front of b and returns how
// many bytes it takes: 1, 2 or 4, or 0 if b holds only a part of it. The error
// is ErrGarbage with the opcode.
func ParseRequest(b []byte) (r Request, size int, err error) {
	if len(b) == 0 {
		return Request{}, 0, nil
	}
	switch op := b[0]; op {
	case OpLevel, OpPID:
		return Request{Op: op}, 1, nil
	case OpReadNonblock, OpRead:
		if len(b) < 2 {
			return Request{}, 0, nil
		}
		return Request{Op: op, N: b[1]}, 2, nil
	case OpWrite:
		if len(b) < 4 {
			return Request{}, 0, nil
		}
		return Request{Op: op, N: b[3], Bits: binary.BigEndian.Uint16(b[1:])}, 4, nil
	default:
		return Request{}, 0, fmt.Errorf("%w: 0x%02x", ErrGarbage, op)
	}
}

// Append appends the head of r to dst. It panics if r.Op is none of the five.
func (r Request) Append(dst []byte) []byte {
	switch r.Op {
	case OpLevel, OpPID:
		return append(dst, r.Op)
	case OpReadNonblock, OpRead:
		return append(dst, r.Op, r.N)
	case OpWrite:
		dst = append(dst, r.Op)
		dst = binary.BigEndian.AppendUint16(dst, r.Bits)
		return append(dst, r.N)
	}
	panic(fmt.Sprintf("egd: no such opcode: 0x%02x", r.Op))
}
