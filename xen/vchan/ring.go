package vchan

// A ring is a buffer whose size is a power of two, an index of what was written
// (prod) and one of what was read (cons). Both run free in 32 bits; the place of a
// byte is its index modulo the size. Each side moves one of the two, and keeps that
// for itself: what the shared page says of it is never read back.

// inbound is the ring that this side reads.
type inbound struct {
	buf  []byte
	cons uint32 // ours
	prod uint32 // the peer's, as last seen
}

// see takes over the peer's index, if the peer may have moved it there: forward, and
// not beyond what there was room for.
func (r *inbound) see(prod uint32) error {
	if prod-r.prod > uint32(len(r.buf))-r.filled() {
		return ErrCorrupt
	}
	r.prod = prod
	return nil
}

// filled is how many bytes wait to be read.
func (r *inbound) filled() uint32 { return r.prod - r.cons }

// take moves bytes to p, and leaves zeros.
func (r *inbound) take(p []byte) int {
	n := min(len(p), int(r.filled()))
	at := int(r.cons) & (len(r.buf) - 1)
	first := copy(p[:n], r.buf[at:])
	clear(r.buf[at : at+first])
	copy(p[first:n], r.buf)
	clear(r.buf[:n-first])
	r.cons += uint32(n)
	return n
}

// forget zeroes what waits to be read.
func (r *inbound) forget() {
	n := int(r.filled())
	at := int(r.cons) & (len(r.buf) - 1)
	first := min(n, len(r.buf)-at)
	clear(r.buf[at : at+first])
	clear(r.buf[:n-first])
}

// outbound is the ring that this side writes.
type outbound struct {
	buf  []byte
	prod uint32 // ours
	cons uint32 // the peer's, as last seen
}

// see takes over the peer's index, if the peer may have moved it there: forward, and
// not beyond what was written.
func (r *outbound) see(cons uint32) error {
	if cons-r.cons > r.prod-r.cons {
		return ErrCorrupt
	}
	r.cons = cons
	return nil
}

// room is how many bytes may be written.
func (r *outbound) room() uint32 { return uint32(len(r.buf)) - (r.prod - r.cons) }

// put copies as much of p as there is room for.
func (r *outbound) put(p []byte) int {
	n := min(len(p), int(r.room()))
	at := int(r.prod) & (len(r.buf) - 1)
	first := copy(r.buf[at:], p[:n])
	copy(r.buf, p[first:n])
	r.prod += uint32(n)
	return n
}
