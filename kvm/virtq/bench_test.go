package virtq

import "testing"

// BenchmarkRequest is one 64-byte request in memory, from the driver's posting it to
// its taking it back: all of a request but the kick, the call and the bytes' origin.
func BenchmarkRequest(b *testing.B) {
	for name, eventIdx := range map[string]bool{"flags": false, "events": true} {
		b.Run(name, func(b *testing.B) {
			r := newRig(b, 4, eventIdx, 0)
			var bytes [64]byte
			b.SetBytes(int64(len(bytes)))
			b.ReportAllocs()
			for b.Loop() {
				if !r.request(bytes[:]) {
					b.Fatal("it is not answered")
				}
			}
		})
	}
}

// request is one of a driver's, answered with bytes.
func (r *rig) request(bytes []byte) bool {
	if _, err := r.Post(buffer(dataAt, len(bytes))); err != nil {
		return false
	}
	r.MustKick()
	if ok, err := r.queue.Next(); !ok || err != nil {
		return false
	}
	n := 0
	for {
		piece, err := r.queue.Buffer()
		if err != nil {
			return false
		}
		if piece == nil {
			break
		}
		n += copy(piece, bytes[n:])
	}
	r.queue.Done(n)
	if r.queue.Rest() {
		return false
	}
	r.Await()
	_, got, ok, err := r.Take()
	return ok && err == nil && int(got) == len(bytes)
}

func TestNoAllocations(t *testing.T) {
	r := newRig(t, 4, true, 65000)
	var bytes [64]byte
	if allocs := testing.AllocsPerRun(1000, func() {
		if !r.request(bytes[:]) {
			t.Fatal("it is not answered")
		}
	}); allocs != 0 {
		t.Errorf("%v allocations a request", allocs)
	}
}
