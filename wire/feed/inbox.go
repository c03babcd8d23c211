package feed

// MaxDrain bounds the bytes that one Drain reads from the pipe.
const MaxDrain = 64 << 10

// Batch is what a guest got in one go.
type Batch struct {
	Data   []byte // all random bytes, oldest first; mix all of them
	Fresh  int    // Data[Fresh:] carries the last epoch: only this may be credited
	Bits   int    // min-entropy that the host claims for Data[Fresh:], in bits
	Epoch  Epoch  // the last one
	Pushed bool   // the host pushed: this guest may have been restored or cloned
	Read   int    // bytes read from the pipe, garbage included
	More   bool   // the limit was reached before the pipe was empty
}

// Inbox is the guest's end of a pipe. It holds about 72 KiB and never more.
type Inbox struct {
	dec  Decoder
	buf  [MaxFrame]byte // what is not decoded yet
	n    int
	data [MaxDrain + MaxFrame]byte
}

// Drain reads until read returns 0, meaning that the pipe is empty for now, or an
// error, or until MaxDrain bytes were read. What came before an error is in the
// batch. Batch.Data is good until the next Drain; wipe it with Wipe.
func (in *Inbox) Drain(read func([]byte) (int, error)) (b Batch, err error) {
	in.dec.Accept = ToGuest
	used := 0
	for b.Read < MaxDrain && err == nil {
		var n int
		room := in.buf[in.n:]
		n, err = read(room[:min(len(room), MaxDrain-b.Read)])
		if n <= 0 {
			break
		}
		b.Read += n
		in.n += n
		used = in.decode(&b, used)
	}
	b.Data = in.data[:used]
	b.More = b.Read == MaxDrain
	return b, err
}

// decode moves the payload of every whole frame to data and keeps the rest.
func (in *Inbox) decode(b *Batch, used int) int {
	at := 0
	for {
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
	left := copy(in.buf[:], in.buf[at:in.n])
	clear(in.buf[left:in.n])
	in.n = left
	return used
}

// Wipe zeroes the bytes of the last batch.
func (in *Inbox) Wipe() { clear(in.data[:]) }
