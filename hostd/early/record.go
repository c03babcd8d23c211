package early

import (
	"encoding/binary"
	"errors"
	"strings"
)

// Way is how randomness is asked for.
type Way string

// The ways, as the kernel's functions are called.
const (
	Getrandom Way = "getrandom"
	Random    Way = "/dev/random"
	Urandom   Way = "/dev/urandom"
)

// ways is what early.c calls them.
var ways = map[uint32]Way{1: Getrandom, 2: Random, 3: Urandom}

// Flags of getrandom(2), include/uapi/linux/random.h.
const (
	grndNonblock = 1 << iota
	grndRandom
	grndInsecure
)

// flagNames names what of them is set.
func flagNames(flags uint32) string {
	var names []string
	for bit, name := range []string{"nonblock", "random", "insecure"} {
		if flags&(1<<bit) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}

// record is one call that has ended. Times are since the kernel's start, and by the
// clock of its log.
type record struct {
	start, end Seconds
	asked      uint64 // bytes, or unknown
	result     int64  // bytes, or an error below 0
	pid, tid   uint32
	flags      uint32
	way        Way
	process    string
}

// unknown is what is asked for where the kernel does not say where it has that.
const unknown = ^uint64(0)

const (
	recordSize = 64
	callSize   = 16
	askedSize  = 24
)

var errShort = errors.New("not of the size that early.c writes")

// parseRecord reads struct record of early.c.
func parseRecord(b []byte) (record, error) {
	if len(b) < recordSize {
		return record{}, errShort
	}
	order := binary.NativeEndian
	comm, _, _ := strings.Cut(string(b[48:64]), "\x00")
	thread := order.Uint64(b[32:])
	return record{
		start: Seconds(order.Uint64(b)), end: Seconds(order.Uint64(b[8:])),
		asked: order.Uint64(b[16:]), result: int64(order.Uint64(b[24:])),
		pid: uint32(thread >> 32), tid: uint32(thread),
		flags: order.Uint32(b[40:]), way: ways[order.Uint32(b[44:])], process: comm,
	}, nil
}

// parseOpen reads struct call and struct asked of early.c: a call that has not ended.
func parseOpen(call, asked []byte) (record, error) {
	if len(call) < callSize || len(asked) < askedSize {
		return record{}, errShort
	}
	order := binary.NativeEndian
	thread := order.Uint64(call)
	return record{
		start: Seconds(order.Uint64(asked)), asked: order.Uint64(asked[8:]), flags: uint32(order.Uint64(asked[16:])),
		pid: uint32(thread >> 32), tid: uint32(thread), way: ways[uint32(order.Uint64(call[8:]))],
	}, nil
}
