package feed

import (
	"bytes"
	"errors"
	"hash/crc32"
)

// Types is a set of frame types.
type Types uint8

// What each end of the pipe may receive. A frame of another type is garbage to it.
const (
	ToGuest Types = 1<<TypePush | 1<<TypeGrant
	ToHost  Types = 1<<TypeRequest | 1<<TypeReport
)

// Has says whether t is in the set.
func (ts Types) Has(t Type) bool { return t < 8 && ts&(1<<t) != 0 }

// Max returns the size in bytes of the largest frame of these types. A buffer of
// that size is enough for a Decoder that accepts them.
func (ts Types) Max() int {
	switch {
	case ts&ToGuest != 0:
		return MaxFrame
	case ts.Has(TypeReport):
		return headerLen + reportMax + crcLen
	}
	return headerLen + 4 + crcLen
}

// ErrShort is returned by Next when the buffer holds no whole frame.
var ErrShort = errors.New("feed: no whole frame yet")

// Decoder finds frames in a stream. It holds no bytes, only what it accepts and
// what it counted.
type Decoder struct {
	Accept  Types
	Skipped uint64 // bytes that belonged to no frame
	BadCRC  uint64 // frames whose checksum was wrong
	Summed  uint64 // bytes that checksums were computed of
}

// Next returns the first whole frame in buf and how many bytes of buf are done
// with: the frame and what was skipped before it. With no whole frame it returns
// ErrShort; less than Accept.Max bytes then remain undone, and the caller brings
// them again with more behind them.
//
// A header may be garbage that promises a payload which never comes. A whole
// frame behind it is therefore returned at once, not when the promised length has
// arrived: that a real, unfinished frame contains another is as likely as a
// guessed magic and checksum.
func (d *Decoder) Next(buf []byte) (f Frame, consumed int, err error) {
	hold := -1 // the first place where a frame may have begun
	var bad, heldBad uint64
	for at := 0; ; at++ {
		i := indexMagic(buf[at:])
		if i < 0 {
			break
		}
		at += i
		n, ok := d.frameLen(buf[at:])
		switch {
		case !ok:
		case n > len(buf)-at:
			if hold < 0 {
				hold = at
			}
		case !d.sum(buf[at : at+n]):
			if hold < 0 {
				bad++
			} else {
				heldBad++
			}
		case parse(buf[at:at+n], &f):
			d.Skipped += uint64(at)
			d.BadCRC += bad + heldBad
			return f, at + n, nil
		}
	}
	if hold < 0 {
		hold = len(buf)
	}
	d.Skipped += uint64(hold)
	d.BadCRC += bad
	return Frame{}, hold, ErrShort
}

// sum says whether the checksum at the end of b is right.
func (d *Decoder) sum(b []byte) bool {
	end := len(b) - crcLen
	d.Summed += uint64(end)
	return be32(b[end:]) == crc32.Checksum(b[:end], castagnoli)
}

// indexMagic returns where the magic, or a beginning of it at the end of b, is.
func indexMagic(b []byte) int {
	for at := 0; ; at++ {
		i := bytes.IndexByte(b[at:], magic[0])
		if i < 0 {
			return -1
		}
		at += i
		if n := min(len(magic), len(b)-at); string(b[at:at+n]) == magic[:n] {
			return at
		}
	}
}

// frameLen returns the length of the frame that begins at b, as far as b tells;
// ok is false if no acceptable frame begins so.
func (d *Decoder) frameLen(b []byte) (n int, ok bool) {
	if len(b) < 8 {
		ok = (len(b) < 5 || b[4] == version) && (len(b) < 6 || d.Accept.Has(Type(b[5])))
		return len(b) + 1, ok
	}
	n = int(b[6])<<8 | int(b[7])
	if b[4] != version || !d.Accept.Has(Type(b[5])) {
		return 0, false
	}
	switch Type(b[5]) {
	case TypePush, TypeGrant:
		ok = n > 4 && n <= 4+MaxData
	case TypeRequest:
		ok = n == 4
	case TypeReport:
		ok = n >= reportMin && n <= reportMax
	}
	return headerLen + n + crcLen, ok
}

// parse fills f from the whole frame b, whose length and checksum are right.
func parse(b []byte, f *Frame) bool {
	*f = Frame{Type: Type(b[5]), Epoch: Epoch(b[8:headerLen])}
	p := b[headerLen : len(b)-crcLen]
	switch f.Type {
	case TypePush, TypeGrant:
		f.Bits, f.Data = be32(p), p[4:]
	case TypeRequest:
		f.N = be32(p)
	case TypeReport:
		return parseReport(p, &f.Report)
	}
	return payloadLen(f) >= 0
}

func parseReport(p []byte, r *Report) bool {
	r.Seeded, r.Credited, r.Boot = int64(be64(p)), be64(p[8:]), [16]byte(p[16:32])
	reason, p, ok := text(p[32:])
	if !ok {
		return false
	}
	release, p, ok := text(p)
	if !ok || len(p) != 0 {
		return false
	}
	r.Reason, r.Version = string(reason), string(release)
	return true
}

// text takes one counted text from the front of p.
func text(p []byte) (s, rest []byte, ok bool) {
	if len(p) == 0 || int(p[0]) > len(p)-1 {
		return nil, nil, false
	}
	s, rest = p[1:1+p[0]], p[1+p[0]:]
	return s, rest, printable(s)
}
