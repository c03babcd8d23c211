package virtq

import (
	"errors"
	"strings"
	"testing"

	"headgate/kvm/vhost/vhosttest"
)

func TestLayoutsThatAreRefused(t *testing.T) {
	r := newRig(t, 4, false, 0)
	good := r.layout(0)
	if _, err := New(r.queue.mem, good); err != nil {
		t.Fatal(err)
	}
	const end = vhosttest.UserBase + allOf
	for _, c := range []struct {
		say    string
		change func(*Layout)
	}{
		{"its size is 0", func(l *Layout) { l.Size = 0 }},
		{"its size is 3", func(l *Layout) { l.Size = 3 }},
		{"its size is 1023", func(l *Layout) { l.Size = 1023 }},
		{"its size is 2048", func(l *Layout) { l.Size = 2048 }},
		{"its size is 65535", func(l *Layout) { l.Size = 65535 }},
		{"multiple of 16", func(l *Layout) { l.Desc += 8 }},
		{"multiple of 2", func(l *Layout) { l.Avail++ }},
		{"multiple of 4", func(l *Layout) { l.Used += 2 }},
		{"its descriptor table is at 0x0", func(l *Layout) { l.Desc = 0 }},
		{"its descriptor table", func(l *Layout) { l.Desc = end - 48 }},
		{"its descriptor table", func(l *Layout) { l.Desc = end }},
		{"its descriptor table", func(l *Layout) { l.Desc = vhosttest.UserBase - 16 }},
		{"its available ring", func(l *Layout) { l.Avail = end - 12 }},
		{"its used ring", func(l *Layout) { l.Used = end - 36 }},
		{"its used ring", func(l *Layout) { l.Used = 1<<64 - 4 }},
		{"its used ring", func(l *Layout) { l.Used = vhosttest.GuestBase }},
	} {
		l := good
		c.change(&l)
		if _, err := New(r.queue.mem, l); err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%+v: %v, want %q", l, err, c.say)
		}
	}
	// And the last places that there are.
	for _, l := range []Layout{
		{Size: 4, Desc: end - 64, Avail: good.Avail, Used: good.Used},
		{Size: 4, Desc: good.Desc, Avail: end - 14, Used: good.Used},
		{Size: 4, Desc: good.Desc, Avail: good.Avail, Used: end - 40},
	} {
		if _, err := New(r.queue.mem, l); err != nil {
			t.Errorf("%+v: %v", l, err)
		}
	}
}

// A driver that breaks the rules is told so again and again, and nothing is written.
func TestWrongChains(t *testing.T) {
	for _, c := range []struct {
		want  error
		write func(*rig)
	}{
		{errIndex, func(r *rig) { r.SetAvailIdx(5) }},
		{errIndex, func(r *rig) { r.SetAvailIdx(65535) }},
		{errHead, func(r *rig) { r.Offer(4) }},
		{errHead, func(r *rig) { r.Offer(65535) }},
	} {
		r := newRig(t, 4, true, 0)
		c.write(r)
		before := snapshot(r.Memory.Bytes)
		for range 2 {
			if ok, err := r.queue.Next(); ok || !errors.Is(err, c.want) {
				t.Errorf("%v, %v, want %v", ok, err, c.want)
			}
		}
		if from, to := changes(before, r.Memory.Bytes); from != to {
			t.Errorf("%v: %d to %d were written", c.want, from, to)
		}
	}
	d := buffer(dataAt, 64)
	toRead, empty, wild, loop, nowhere := d, d, d, d, d
	toRead.Flags, empty.Len, wild.Addr = 0, 0, 1
	loop.Flags |= vhosttest.Next
	nowhere.Flags, nowhere.Next = loop.Flags, 4
	table := vhosttest.Desc{Addr: vhosttest.GuestBase + dataAt, Len: 16, Flags: vhosttest.Indirect}
	half, follows, away := table, table, table
	half.Len, follows.Flags, away.Addr = 24, table.Flags|vhosttest.Next, 1
	for _, c := range []struct {
		want   error
		at     vhosttest.Desc // the only descriptor of the queue that is used
		inside vhosttest.Desc // the only one of the table
	}{
		{errReadable, toRead, d}, {errReadable, table, toRead}, {errEmpty, empty, d}, {errEmpty, table, empty},
		{errAddress, wild, d}, {errAddress, table, wild}, {errAddress, away, d}, {errLoop, loop, d}, {errLoop, table, loop},
		{errLink, nowhere, d}, {errLink, table, nowhere}, {errTable, half, d}, {errNested, follows, d}, {errNested, table, table},
	} {
		r := newRig(t, 4, true, 0)
		r.SetDesc(0, c.at)
		r.PutDesc(dataAt, c.inside)
		r.Offer(0)
		before := snapshot(r.Memory.Bytes)
		r.next()
		p, err := r.queue.Buffer()
		for n := 0; err == nil && p != nil && n < 4; n++ { // a loop has its pieces first
			p, err = r.queue.Buffer()
		}
		if !errors.Is(err, c.want) || p != nil {
			t.Errorf("%d bytes, %v, want %v", len(p), err, c.want)
		}
		if from, to := changes(before, r.Memory.Bytes); from != to || r.queue.Base() != 0 {
			t.Errorf("%v: %d to %d were written, base %d", c.want, from, to, r.queue.Base())
		}
	}
	r := newRig(t, 4, true, 0)
	for range 5 { // more than there may be, one after the other, is all right
		r.post(buffer(dataAt, 64))
		r.next()
		r.pieces()
		r.queue.Done(64)
		r.took(r.last(), 64)
	}
}
