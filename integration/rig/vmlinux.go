//go:build linux

package rig

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// Vmlinux is the ELF kernel inside a bzImage, which Xen boots in place of its
// decompressor: unpacking it under emulation would take longer than all the rest.
func Vmlinux(ctx context.Context, image string) ([]byte, error) {
	data, err := os.ReadFile(image)
	if err != nil {
		return nil, err
	}
	packed, err := payload(data)
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", image, err)
	}
	elf, err := decompress(ctx, packed)
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", image, err)
	}
	if !bytes.HasPrefix(elf, []byte("\x7fELF")) {
		return nil, fmt.Errorf("unpack %s: no ELF file inside", image)
	}
	return elf, nil
}

// Offsets in the real-mode kernel header (Documentation/x86/boot.rst).
const (
	setupSects    = 0x1f1 // u8: sectors of 512 bytes after the first
	setupMagic    = 0x202 // "HdrS"
	setupVersion  = 0x206 // u16
	payloadOffset = 0x248 // u32, from the start of the protected-mode code
	payloadLength = 0x24c // u32
	setupEnd      = 0x250

	payloadVersion = 0x0208 // the first with the payload's place
)

// payload finds the compressed kernel in a bzImage.
func payload(image []byte) ([]byte, error) {
	if len(image) < setupEnd || string(image[setupMagic:setupMagic+4]) != "HdrS" ||
		binary.LittleEndian.Uint16(image[setupVersion:]) < payloadVersion {
		return nil, errors.New("not a bzImage of boot protocol 2.08 or later")
	}
	sectors := int64(image[setupSects])
	if sectors == 0 {
		sectors = 4 // as the specification has it, for very old kernels
	}
	from := (sectors+1)*512 + int64(binary.LittleEndian.Uint32(image[payloadOffset:]))
	to := from + int64(binary.LittleEndian.Uint32(image[payloadLength:]))
	if to > int64(len(image)) {
		return nil, errors.New("the bzImage ends before its payload")
	}
	return image[from:to], nil
}

// sizeBytes is what the kernel's build appends to every format but gzip, which
// ends so by itself: the size of the plain file (scripts/Makefile.lib, size_append).
const sizeBytes = 4

// decompress unpacks a payload, by the magic that it starts with.
func decompress(ctx context.Context, packed []byte) ([]byte, error) {
	starts := func(magic string) bool { return bytes.HasPrefix(packed, []byte(magic)) }
	if starts("\x1f\x8b") {
		return gunzip(packed)
	}
	if len(packed) < 2*sizeBytes {
		return nil, errors.New("nothing there to decompress")
	}
	size := binary.LittleEndian.Uint32(packed[len(packed)-sizeBytes:])
	packed = packed[:len(packed)-sizeBytes]
	switch {
	case starts("\xfd7zXZ\x00"):
		return pipe(ctx, packed, "xz", "--decompress", "--stdout")
	case starts("\x28\xb5\x2f\xfd"):
		return pipe(ctx, packed, "zstd", "--decompress", "--stdout", "--quiet")
	case starts(lz4Magic):
		return unpackLZ4(packed, int(size))
	}
	return nil, fmt.Errorf("compressed in a way that the rig does not know: % x", packed[:sizeBytes])
}

func gunzip(packed []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// pipe is what a program makes of the bytes.
func pipe(ctx context.Context, data []byte, name string, args ...string) ([]byte, error) {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(data), &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w %s", name, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}
