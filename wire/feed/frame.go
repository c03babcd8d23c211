package feed

import (
	"errors"
	"hash/crc32"
)

// Type says what a frame is.
type Type uint8

// The four frames. Push and grant go to the guest, request and report to the host.
const (
	TypePush    Type = 1 // fresh bytes that nobody asked for, under a new epoch
	TypeRequest Type = 2 // the guest asks for N bytes
	TypeGrant   Type = 3 // the bytes that were asked for
	TypeReport  Type = 4 // what the guest did with them
)

// Sizes in bytes.
const (
	MaxData   = 4096 // random bytes in one push or grant, and the most that one request asks for
	MaxText   = 64   // each text of a report
	headerLen = 16
	crcLen    = 4
	reportMin = 8 + 8 + 16 + 1 + 1
	reportMax = reportMin + 2*MaxText
	MaxFrame  = headerLen + 4 + MaxData + crcLen // the largest frame of any type
)

const (
	magic   = "HGFD"
	version = 1
)

// Epoch names one push; see the package's description.
type Epoch [8]byte

// Report is what a guest says after it has reseeded its kernel.
type Report struct {
	Seeded   int64    // when, in nanoseconds of the guest's real-time clock
	Credited uint64   // bits credited since guestd started
	Boot     [16]byte // the kernel's boot id
	Reason   string   // why, at most MaxText printable ASCII characters
	Version  string   // of guestd, likewise
}

// Frame is one frame of any type; only the fields of its type are used.
type Frame struct {
	Type   Type
	Epoch  Epoch
	Bits   uint32 // push, grant: min-entropy of Data in bits, at most 8 a byte
	Data   []byte // push, grant: 1..MaxData bytes; after Next it aliases the buffer
	N      uint32 // request: bytes wanted, 1..MaxData
	Report Report
}

// ErrFrame is returned by Append for a frame that no decoder would take.
var ErrFrame = errors.New("feed: frame out of bounds")

// CRC-32C: the Castagnoli polynomial, RFC 3720 appendix B.4.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Append appends the encoded frame to dst; nothing is appended if it is not valid.
func Append(dst []byte, f *Frame) ([]byte, error) {
	n := payloadLen(f)
	if n < 0 {
		return dst, ErrFrame
	}
	start := len(dst)
	dst = append(dst, magic...)
	dst = append(dst, version, byte(f.Type), byte(n>>8), byte(n))
	dst = append(dst, f.Epoch[:]...)
	switch f.Type {
	case TypePush, TypeGrant:
		dst = append(append32(dst, f.Bits), f.Data...)
	case TypeRequest:
		dst = append32(dst, f.N)
	case TypeReport:
		s := &f.Report
		dst = append64(append64(dst, uint64(s.Seeded)), s.Credited)
		dst = append(dst, s.Boot[:]...)
		dst = append(append(dst, byte(len(s.Reason))), s.Reason...)
		dst = append(append(dst, byte(len(s.Version))), s.Version...)
	}
	return append32(dst, crc32.Checksum(dst[start:], castagnoli)), nil
}

// payloadLen returns the length of the payload of f, or -1 if f is not valid.
func payloadLen(f *Frame) int {
	switch f.Type {
	case TypePush, TypeGrant:
		if n := len(f.Data); n >= 1 && n <= MaxData && f.Bits <= uint32(8*n) {
			return 4 + n
		}
	case TypeRequest:
		if f.N >= 1 && f.N <= MaxData {
			return 4
		}
	case TypeReport:
		if printable(f.Report.Reason) && printable(f.Report.Version) {
			return reportMin + len(f.Report.Reason) + len(f.Report.Version)
		}
	}
	return -1
}

// printable says whether s is at most MaxText characters of printable ASCII.
func printable[S string | []byte](s S) bool {
	if len(s) > MaxText {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// By hand, because encoding/binary links reflect.

func append32(b []byte, v uint32) []byte {
	return append(b, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
}

func append64(b []byte, v uint64) []byte {
	return append32(append32(b, uint32(v>>32)), uint32(v))
}

func be32(b []byte) uint32 {
	_ = b[3]
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

func be64(b []byte) uint64 { return uint64(be32(b))<<32 | uint64(be32(b[4:])) }
