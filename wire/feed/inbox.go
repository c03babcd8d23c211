package feed

// What one Drain does at most.
const (
	MaxDrain = 64 << 10      // bytes that it reads and looks into
	maxReads = 144           // reads: all 128 buffers of a virtio-serial port, and some
	maxSum   = 16 * MaxDrain // bytes that it computes checksums of, give or take one buffer's
)

// Batch is what a guest got in one go.
type Batch struct {
	Data   []byte // all random bytes, oldest first; mix all of them
	Fresh  int    // Data[Fresh:] carries the last epoch: only this may be credited
	Bits   int    // min-entropy that the host claims for Data[Fresh:], in bits
	Epoch  Epoch  // the last one
	Pushed bool   // the host pushed: this guest may have been restored or cloned
	Read   int    // bytes read from the pipe, garbage included
	More   bool   // a limit was reached before the pipe was empty
}

// Inbox is the guest's end of a pipe. It holds about 72 KiB and never more.
type Inbox struct {
	dec    Decoder
	buf    [MaxFrame]byte // what is not decoded yet
	n      int
	data   [MaxDrain + MaxFrame]byte
	behind bool // the batch before was cut short
}

// Drain reads until read returns 0, meaning that the pipe is empty for now, or an
// error, or until a limit is reached. What came before an error is in the batch.
// Batch.Data is good until the next Drain; wipe it with Wipe.
//
// No host that is well sends so much that a limit is reached. After one that did,
// Drain skips what is queued, but for the end: there is the push of a host that is well
// again.
func (in *Inbox) Drain(read func([]byte) (int, error)) (b Batch, err error) {
	in.dec.Accept = ToGuest
	used, reads, sum := 0, maxReads, in.dec.Summed
	if in.behind {
		err = in.skip(&b, &reads, read)
	}
	for empty := in.behind && reads > 0; ; { // then skip has seen the end
		used = in.decode(&b, used, sum+maxSum)
		if err != nil || empty {
			in.behind = false
			break
		}
		if b.Read >= MaxDrain || reads == 0 || in.dec.Summed-sum >= maxSum {
			in.behind = true
			break
		}
		empty, err = in.fill(&b, &reads, read)
	}
	b.Data = in.data[:used]
	b.More = in.behind
	if in.behind {
		in.drop(in.n)
	}
	return b, err
}

// fill reads until the buffer is full, or says that there is no more.
func (in *Inbox) fill(b *Batch, reads *int, read func([]byte) (int, error)) (empty bool, err error) {
	for in.n < len(in.buf) && *reads > 0 && b.Read < MaxDrain && err == nil {
		var n int
		room := in.buf[in.n:]
		n, err = read(room[:min(len(room), MaxDrain-b.Read)])
		if n <= 0 {
			return true, err
		}
		*reads--
		b.Read += n
		in.n += n
	}
	return false, err
}

// skip reads until there is no more, and keeps the last half of a buffer or more of it:
// many times what a push takes.
func (in *Inbox) skip(b *Batch, reads *int, read func([]byte) (int, error)) (err error) {
	for *reads > 0 && err == nil {
		in.drop(in.n - len(in.buf)/2)
		var n int
		n, err = read(in.buf[in.n:])
		if n <= 0 {
			return err
		}
		*reads--
		b.Read += n
		in.n += n
	}
	in.drop(in.n)
	return err
}

// drop drops the oldest n bytes of the buffer, if any.
func (in *Inbox) drop(n int) {
	if n <= 0 {
		return
	}
	left := copy(in.buf[:], in.buf[n:in.n])
	clear(in.buf[left:in.n])
	in.n = left
}

// decode moves the payload of every whole frame to data and keeps the rest. It ends
// early when so many bytes were summed.
func (in *Inbox) decode(b *Batch, used int, most uint64) int {
	at := 0
	for in.dec.Summed < most {
		f, n, err := in.dec.Next(in.buf[at:in.n])
		at += n
		if err != nil {
			break
		}
		if f.Epoch != b.Epoch || used == 0 {
			b.Epoch, b.Fresh, b.Bits = f.Epoch, used, 0
		}
		b.Pushed = b.Pushed || f.Type == TypePush
		b.Bits += int(f.Bits)
		used += copy(in.data[used:], f.Data)
	}
	in.drop(at)
	return used
}

// Wipe zeroes the bytes of the last batch.
func (in *Inbox) Wipe() { clear(in.data[:]) }
