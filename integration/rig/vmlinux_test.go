//go:build linux

package rig

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
)

// bzImage is a kernel image with that payload.
func bzImage(version uint16, sectors byte, packed []byte) []byte {
	const offset = 0x40
	image := make([]byte, (max(int(sectors), 4*btoi(sectors == 0))+1)*512+offset)
	image[setupSects] = sectors
	copy(image[setupMagic:], "HdrS")
	binary.LittleEndian.PutUint16(image[setupVersion:], version)
	binary.LittleEndian.PutUint32(image[payloadOffset:], offset)
	binary.LittleEndian.PutUint32(image[payloadLength:], uint32(len(packed)))
	return append(append(image, packed...), "the rest of the image"...)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestVmlinux(t *testing.T) {
	elf := append([]byte("\x7fELF"), bytes.Repeat([]byte("kernel"), 1000)...)
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	if _, err := w.Write(elf); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, file := t.Context(), filepath.Join(t.TempDir(), "vmlinuz")
	for name, packed := range map[string][]byte{
		"gzip": zipped.Bytes(),
		"xz":   withSize(tool(t, elf, "xz", "--stdout", "--check=crc32"), len(elf)),
		"zstd": withSize(tool(t, elf, "zstd", "--stdout", "--quiet"), len(elf)),
		"lz4":  withSize(lz4Frame(lz4Sequence(elf[:4+6], 6, len(elf)-4-6)), len(elf)),
	} {
		for _, sectors := range []byte{0, 1, 39} {
			if err := os.WriteFile(file, bzImage(payloadVersion, sectors, packed), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := Vmlinux(ctx, file)
			if err != nil || !bytes.Equal(got, elf) {
				t.Errorf("%s, %d sectors: %d bytes, %v", name, sectors, len(got), err)
			}
		}
	}
	whole := bzImage(payloadVersion, 1, zipped.Bytes())
	for what, image := range map[string][]byte{
		"an empty file":            nil,
		"a text":                   bytes.Repeat([]byte("x"), 4096),
		"an old protocol":          bzImage(payloadVersion-1, 1, zipped.Bytes()),
		"a cut image":              whole[:len(whole)-100],
		"an unknown compression":   bzImage(payloadVersion, 1, []byte("what is this supposed to be?")),
		"an empty payload":         bzImage(payloadVersion, 1, nil),
		"a payload that is no ELF": bzImage(payloadVersion, 1, withSize(tool(t, []byte("text"), "xz", "--stdout"), 4)),
	} {
		if err := os.WriteFile(file, image, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Vmlinux(ctx, file); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}

// tool is what a compressor makes of the bytes; the test is skipped without it.
func tool(t *testing.T, data []byte, name string, args ...string) []byte {
	t.Helper()
	Tool(t, name, name)
	out, err := pipe(t.Context(), data, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func withSize(packed []byte, size int) []byte {
	return binary.LittleEndian.AppendUint32(packed, uint32(size))
}

// lz4Sequence is a block of literals and a match that goes back by the distance.
func lz4Sequence(literals []byte, distance, match int) []byte {
	block := []byte{byte(min(len(literals), 15))<<4 | byte(min(match-4, 15))}
	block = appendLZ4Length(block, len(literals))
	block = append(block, literals...)
	block = binary.LittleEndian.AppendUint16(block, uint16(distance))
	return appendLZ4Length(block, match-4)
}

func appendLZ4Length(block []byte, n int) []byte {
	if n < 15 {
		return block
	}
	for n -= 15; n >= 255; n -= 255 {
		block = append(block, 255)
	}
	return append(block, byte(n))
}

func lz4Frame(blocks ...[]byte) []byte {
	frame := []byte(lz4Magic)
	for _, b := range blocks {
		frame = append(binary.LittleEndian.AppendUint32(frame, uint32(len(b))), b...)
	}
	return frame
}

func TestUnpackLZ4(t *testing.T) {
	last := []byte{3 << 4, 'e', 'n', 'd'} // literals alone
	got, err := unpackLZ4(lz4Frame(lz4Sequence([]byte("ab"), 2, 5), last), 10)
	if want := "abababaend"; err != nil || string(got) != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	for what, frame := range map[string][]byte{
		"a match before the start":  lz4Frame(lz4Sequence([]byte("ab"), 3, 8)),
		"a match of distance 0":     lz4Frame(lz4Sequence([]byte("ab"), 0, 8)),
		"a match in another block":  lz4Frame(last, lz4Sequence(nil, 1, 7)),
		"another size than said":    lz4Frame(last),
		"literals that are missing": lz4Frame([]byte{9 << 4, 'x'}),
		"half a distance":           lz4Frame([]byte{1 << 4, 'x', 1}),
		"a length without end":      lz4Frame([]byte{15 << 4, 255, 255}),
		"a block that is missing":   append(lz4Frame(), 1, 0, 0, 0),
		"half a size":               append(lz4Frame(), 1, 0),
	} {
		if out, err := unpackLZ4(frame, 10); err == nil {
			t.Errorf("%s: %q", what, out)
		}
	}
}

// FuzzUnpackLZ4 holds that nothing but the said number of bytes comes out.
func FuzzUnpackLZ4(f *testing.F) {
	f.Add(lz4Frame(lz4Sequence([]byte("ab"), 2, 8), []byte{3 << 4, 'e', 'n', 'd'}), 13)
	f.Add(lz4Frame([]byte{15 << 4, 255, 255}), 10)
	f.Fuzz(func(t *testing.T, frame []byte, size int) {
		if !bytes.HasPrefix(frame, []byte(lz4Magic)) || size < 0 || size > 1<<20 {
			return
		}
		out, err := unpackLZ4(frame, size)
		if err == nil && len(out) != size {
			t.Errorf("%d bytes of %d", len(out), size)
		}
	})
}
