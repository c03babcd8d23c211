//go:build linux

package rig

import (
	"encoding/binary"
	"errors"
)

// lz4Magic starts the legacy frame of LZ4, which is what the kernel's build
// writes (lz4_Frame_format.md, "Legacy frame").
const lz4Magic = "\x02\x21\x4c\x18"

// lz4Block is the most that a block of the legacy frame unpacks to.
const lz4Block = 8 << 20

var errLZ4 = errors.New("damaged LZ4 data")

// unpackLZ4 unpacks a legacy frame of LZ4 to that many bytes. Debian's cloud
// kernel is one, and this is shorter than one more package to install.
func unpackLZ4(frame []byte, size int) ([]byte, error) {
	out := make([]byte, 0, size)
	rest := frame[len(lz4Magic):]
	for len(rest) > 0 {
		if len(rest) < 4 {
			return nil, errLZ4
		}
		n := int64(binary.LittleEndian.Uint32(rest))
		rest = rest[4:]
		if n > int64(len(rest)) {
			return nil, errLZ4
		}
		var err error
		if out, err = appendLZ4Block(out, rest[:n]); err != nil {
			return nil, err
		}
		rest = rest[n:]
	}
	if len(out) != size {
		return nil, errLZ4
	}
	return out, nil
}

// appendLZ4Block unpacks one block (lz4_Block_format.md): sequences of literals
// and a match that repeats what was unpacked before it. The last has no match.
func appendLZ4Block(out, block []byte) ([]byte, error) {
	start := len(out)
	for len(block) > 0 {
		token := block[0]
		literals, rest, ok := lz4Length(int(token>>4), block[1:])
		if !ok || literals > len(rest) || len(out)-start+literals > lz4Block {
			return nil, errLZ4
		}
		out = append(out, rest[:literals]...)
		block = rest[literals:]
		if len(block) == 0 {
			break
		}
		if len(block) < 2 {
			return nil, errLZ4
		}
		distance := int(binary.LittleEndian.Uint16(block))
		match, rest, ok := lz4Length(int(token&15), block[2:])
		match += 4 // the shortest
		if !ok || distance == 0 || distance > len(out)-start || len(out)-start+match > lz4Block {
			return nil, errLZ4
		}
		for from := len(out) - distance; match > 0; {
			// What is copied may grow while it is copied.
			n := min(match, len(out)-from)
			out = append(out, out[from:from+n]...)
			match -= n
			from += n
		}
		block = rest
	}
	return out, nil
}

// lz4Length reads the bytes that a length of 15 goes on in.
func lz4Length(n int, block []byte) (length int, rest []byte, ok bool) {
	if n < 15 {
		return n, block, true
	}
	for i, b := range block {
		n += int(b)
		if b < 255 {
			return n, block[i+1:], true
		}
	}
	return 0, nil, false
}
