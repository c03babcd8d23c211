package libvirt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// reading is a connection that only reads.
type reading struct {
	net.Conn
	from io.Reader
}

func (r reading) Read(p []byte) (int, error) { return r.from.Read(p) }

// What comes in whole frames goes through as it is, however it is cut; a frame that
// cannot be ends it before its header.
func TestFrames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var good []byte
		for _, n := range rapid.SliceOfN(rapid.IntRange(minFrame, 200), 0, 5).Draw(t, "sizes") {
			good = binary.BigEndian.AppendUint32(good, uint32(n))
			good = append(good, bytes.Repeat([]byte{0xff}, n-4)...)
		}
		in, want := good, io.EOF
		if bad := rapid.SampledFrom([]uint32{minFrame, 0, minFrame - 1, maxFrame + 1, 0x48545450, 0xffffffff}).Draw(t, "then"); bad != minFrame {
			in, want = append(binary.BigEndian.AppendUint32(good, bad), make([]byte, 100)...), errFrame
		}
		var from io.Reader = bytes.NewReader(in)
		if rapid.Bool().Draw(t, "byte by byte") {
			from = iotest.OneByteReader(from)
		}
		calls := 0
		var why error
		f := newFrames(reading{from: from}, func(err error) { calls++; why = err })
		got, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := f.Read(make([]byte, 9)); n != 0 || !errors.Is(err, io.EOF) {
			t.Fatalf("after its end: %d %v", n, err)
		}
		if calls != 1 || !errors.Is(why, want) {
			t.Fatalf("%d times %v, want %v", calls, why, want)
		}
		if !bytes.HasPrefix(in, got) || len(got) > len(good)+3 || errors.Is(want, io.EOF) && len(got) != len(good) {
			t.Fatalf("%d bytes of %d", len(got), len(good))
		}
	})
}
