package feed

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// frames draws a valid frame of any of the types.
func frames(types ...Type) *rapid.Generator[Frame] {
	return rapid.Custom(func(t *rapid.T) Frame {
		f := Frame{Type: rapid.SampledFrom(types).Draw(t, "type")}
		copy(f.Epoch[:], rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "epoch"))
		switch f.Type {
		case TypePush, TypeGrant:
			f.Data = rapid.SliceOfN(rapid.Byte(), 1, 200).Draw(t, "data")
			f.Bits = rapid.Uint32Range(0, uint32(8*len(f.Data))).Draw(t, "bits")
		case TypeRequest:
			f.N = rapid.Uint32Range(1, MaxData).Draw(t, "n")
		case TypeReport:
			text := rapid.StringMatching(`[ -~]{0,64}`)
			f.Report = Report{
				Seeded: rapid.Int64().Draw(t, "seeded"), Credited: rapid.Uint64().Draw(t, "credited"),
				Reason: text.Draw(t, "reason"), Version: text.Draw(t, "version"),
			}
		}
		return f
	})
}

var anyFrame = frames(TypePush, TypeRequest, TypeGrant, TypeReport)

func encode(t interface{ Fatal(...any) }, f Frame) []byte {
	b, err := Append(nil, &f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := anyFrame.Draw(t, "frame")
		b := encode(t, want)
		d := Decoder{Accept: ToGuest | ToHost}
		got, n, err := d.Next(b)
		if err != nil || n != len(b) || !reflect.DeepEqual(got, want) || d.Skipped+d.BadCRC != 0 {
			t.Fatalf("got %+v, %d of %d bytes, %v, decoder %+v", got, n, len(b), err, d)
		}
	})
}

// The wire format must not change under guests that run an older guestd.
func TestGolden(t *testing.T) {
	f := Frame{Type: TypePush, Epoch: Epoch{1, 2, 3, 4, 5, 6, 7, 8}, Bits: 16, Data: []byte{0xaa, 0xbb}}
	want := []byte("HGFD\x01\x01\x00\x06\x01\x02\x03\x04\x05\x06\x07\x08\x00\x00\x00\x10\xaa\xbb\xbb\xd4\xec\x78")
	if got := encode(t, f); !bytes.Equal(got, want) {
		t.Fatalf("got  %x\nwant %x", got, want)
	}
}

func TestAppendRefuses(t *testing.T) {
	for name, f := range map[string]Frame{
		"no type":         {},
		"unknown type":    {Type: 5, N: 1},
		"empty push":      {Type: TypePush},
		"long push":       {Type: TypePush, Data: make([]byte, MaxData+1)},
		"too many bits":   {Type: TypeGrant, Data: make([]byte, 4), Bits: 33},
		"request of 0":    {Type: TypeRequest},
		"large request":   {Type: TypeRequest, N: MaxData + 1},
		"long reason":     {Type: TypeReport, Report: Report{Reason: strings.Repeat("x", MaxText+1)}},
		"control in text": {Type: TypeReport, Report: Report{Version: "1\n"}},
	} {
		if b, err := Append([]byte("x"), &f); !errors.Is(err, ErrFrame) || string(b) != "x" {
			t.Errorf("%s: got %q, %v", name, b, err)
		}
	}
}

func TestNoAllocation(t *testing.T) {
	f := Frame{Type: TypePush, Data: make([]byte, 64), Bits: 512}
	buf := make([]byte, 0, MaxFrame)
	d := Decoder{Accept: ToGuest}
	if n := testing.AllocsPerRun(100, func() {
		b, _ := Append(buf, &f)
		_, _, _ = d.Next(b)
	}); n != 0 {
		t.Errorf("%v allocations for a frame", n)
	}
}
