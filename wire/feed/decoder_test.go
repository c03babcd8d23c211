package feed

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

// FuzzDecoder puts garbage before and behind a valid frame and feeds all of it in
// pieces. Whatever the garbage is, the frame is found as soon as its last byte is
// there, the decoder asks for a bounded buffer, and every byte is accounted for.
func FuzzDecoder(f *testing.F) {
	valid, _ := Append(nil, &Frame{Type: TypeGrant, Data: []byte("0123456789abcdef"), Bits: 100})
	f.Add([]byte("HGFD"), []byte("HGFD\x01\x01\x10\x04"), uint8(3))
	f.Add([]byte("HGHGFD\x01\x02\x00\x04"), valid, uint8(1))
	f.Add(valid[:len(valid)-1], valid[1:], uint8(7))
	f.Fuzz(func(t *testing.T, before, after []byte, step uint8) {
		if len(before)+len(after) > 4*MaxFrame {
			t.Skip("longer streams show no more")
		}
		marker := encode(t, Frame{Type: TypeRequest, Epoch: Epoch{0xfe, 0xed}, N: 4000})
		stream := append(append(bytes.Clone(before), marker...), after...)
		d := Decoder{Accept: ToGuest | ToHost}
		limit := d.Accept.Max()
		var buf []byte
		found, framed, arrived := false, 0, 0
		for arrived < len(stream) {
			n := min(int(step)+1, len(stream)-arrived)
			buf = append(buf, stream[arrived:arrived+n]...)
			arrived += n
			for {
				skipped := d.Skipped
				fr, consumed, err := d.Next(buf)
				if consumed < 0 || consumed > len(buf) {
					t.Fatalf("consumed %d of %d", consumed, len(buf))
				}
				buf = buf[consumed:]
				if err != nil {
					if !errors.Is(err, ErrShort) || len(buf) >= limit || int(d.Skipped-skipped) != consumed {
						t.Fatalf("%v, %d bytes kept, %d consumed", err, len(buf), consumed)
					}
					break
				}
				size := consumed - int(d.Skipped-skipped)
				framed += size
				again := encode(t, fr)
				if len(again) != size {
					t.Fatalf("a frame of %d bytes encodes to %d", size, len(again))
				}
				found = found || bytes.Equal(again, marker)
			}
			// A whole valid frame in the garbage may have swallowed a part of the marker.
			if !found && framed == 0 && arrived >= len(before)+len(marker) {
				t.Fatal("the frame was lost")
			}
		}
		if uint64(framed+len(buf))+d.Skipped != uint64(len(stream)) {
			t.Fatalf("%d framed + %d kept + %d skipped of %d", framed, len(buf), d.Skipped, len(stream))
		}
	})
}

func TestDecoderResynchronises(t *testing.T) {
	good := encode(t, Frame{Type: TypePush, Data: []byte("fresh"), Bits: 40})
	broken := bytes.Clone(good)
	broken[len(broken)-1] ^= 1
	hollow := []byte("HGFD\x01\x03\x10\x04........") // a header that promises 4 KiB
	for name, c := range map[string]struct {
		stream   []byte
		bad, skp uint64
	}{
		"nothing before":          {good, 0, 0},
		"bad checksum":            {append(bytes.Clone(broken), good...), 1, uint64(len(good))},
		"hollow header":           {append(bytes.Clone(hollow), good...), 0, 16},
		"half a frame":            {append(bytes.Clone(good[:9]), good...), 1, 9},
		"other direction":         {append(encode(t, Frame{Type: TypeRequest, N: 1}), good...), 0, 24},
		"bad one behind a hollow": {append(append(bytes.Clone(hollow), broken...), good...), 1, 16 + uint64(len(good))},
	} {
		d := Decoder{Accept: ToGuest}
		f, n, err := d.Next(c.stream)
		if err != nil || string(f.Data) != "fresh" || n != len(c.stream) {
			t.Errorf("%s: got %q, %d bytes, %v", name, f.Data, n, err)
		}
		if d.BadCRC != c.bad || d.Skipped != c.skp {
			t.Errorf("%s: %d bad, %d skipped; want %d, %d", name, d.BadCRC, d.Skipped, c.bad, c.skp)
		}
	}
}

func TestInbox(t *testing.T) {
	frame := func(ty Type, epoch byte, data string) []byte {
		return encode(t, Frame{Type: ty, Epoch: Epoch{epoch}, Data: []byte(data), Bits: uint32(8 * len(data))})
	}
	for name, c := range map[string]struct {
		stream       [][]byte
		data, fresh  string
		epoch        byte
		bits         int
		pushed, more bool
	}{
		"empty":           {},
		"a push":          {stream: [][]byte{frame(TypePush, 1, "abcd")}, data: "abcd", fresh: "abcd", epoch: 1, bits: 32, pushed: true},
		"a stale grant":   {stream: [][]byte{frame(TypeGrant, 1, "old"), frame(TypePush, 2, "new")}, data: "oldnew", fresh: "new", epoch: 2, bits: 24, pushed: true},
		"push and grant":  {stream: [][]byte{frame(TypePush, 2, "ab"), frame(TypeGrant, 2, "cd")}, data: "abcd", fresh: "abcd", epoch: 2, bits: 32, pushed: true},
		"an epoch's back": {stream: [][]byte{frame(TypePush, 1, "a"), frame(TypePush, 2, "b"), frame(TypeGrant, 1, "c")}, data: "abc", fresh: "c", epoch: 1, bits: 8, pushed: true},
		"only garbage":    {stream: [][]byte{bytes.Repeat([]byte("HGFD"), MaxDrain)}, more: true},
	} {
		stream := bytes.NewReader(bytes.Join(c.stream, nil))
		in := new(Inbox)
		b, _ := in.Drain(stream.Read)
		if string(b.Data) != c.data || string(b.Data[b.Fresh:]) != c.fresh || b.Bits != c.bits ||
			b.Epoch[0] != c.epoch || b.Pushed != c.pushed || b.More != c.more || b.Read > MaxDrain {
			t.Errorf("%s: got %+v", name, b)
		}
		in.Wipe()
		if len(bytes.Trim(b.Data, "\x00")) != 0 {
			t.Errorf("%s: not wiped", name)
		}
	}
}

// However the stream is cut and whatever stands between the frames, the inbox
// gives the bytes of every frame once and in order.
func TestInboxGivesAllFrames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var stream, want []byte
		for range rapid.IntRange(0, 20).Draw(t, "frames") {
			stream = append(stream, rapid.SliceOfN(rapid.SampledFrom([]byte("HGFD\x01\x00\x02")), 0, 30).Draw(t, "garbage")...)
			f := frames(TypePush, TypeGrant).Draw(t, "frame")
			stream, want = append(stream, encode(t, f)...), append(want, f.Data...)
		}
		in, got := new(Inbox), []byte(nil)
		for len(stream) > 0 {
			reads := 0
			b, err := in.Drain(func(p []byte) (int, error) {
				if reads++; reads == maxReads {
					return 0, nil // no more than a port can have queued
				}
				n := copy(p[:min(len(p), rapid.IntRange(0, 300).Draw(t, "piece"))], stream)
				stream = stream[n:]
				return n, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, b.Data...)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("got %d bytes, want %d", len(got), len(want))
		}
	})
}

// After a host that sent more than is read, the push of one that is well is found at
// the end of all that is queued, soon, and at a bounded cost.
func TestInboxAfterAFlood(t *testing.T) {
	push := encode(t, Frame{Type: TypePush, Epoch: Epoch{7}, Data: []byte("well again"), Bits: 80})
	long := encode(t, Frame{Type: TypeGrant, Data: make([]byte, MaxData)})[:8]
	half := encode(t, Frame{Type: TypeGrant, Data: make([]byte, MaxData/2)})[:8]
	for name, unit := range map[string][]byte{
		"garbage":       []byte("garbage"),
		"claims":        append(bytes.Clone(long), half...),
		"valid frames":  encode(t, Frame{Type: TypePush, Epoch: Epoch{1}, Data: make([]byte, 64)}),
		"single bytes":  []byte("H"),
		"broken frames": append(encode(t, Frame{Type: TypeGrant, Data: make([]byte, MaxData)}), 'H')[1:],
	} {
		const queued = 128 * 4096 // a virtio-serial port's buffers
		stream := append(bytes.Repeat(unit, queued/len(unit)), push...)
		in := new(Inbox)
		for turn := 1; ; turn++ {
			read, summed := len(stream), in.dec.Summed
			b, err := in.Drain(func(p []byte) (int, error) {
				n := copy(p[:min(len(p), 4096)], stream)
				stream = stream[n:]
				return n, nil
			})
			if err != nil || b.Read != read-len(stream) || in.dec.Summed-summed > maxSum+2<<20 {
				t.Fatalf("%s, turn %d: %v, %d of %d read, %d summed", name, turn, err, b.Read, read-len(stream), in.dec.Summed-summed)
			}
			if b.More {
				if turn == 8 { // what may come at once, before guestd takes a turn a second
					t.Fatalf("%s: still behind after %d turns", name, turn)
				}
				continue
			}
			if string(b.Data[b.Fresh:]) != "well again" || b.Epoch != (Epoch{7}) || !b.Pushed {
				t.Errorf("%s: after %d turns %d bytes, epoch %v", name, turn, len(b.Data), b.Epoch)
			}
			break
		}
	}
}
