package vhost

import (
	"testing"

	"golang.org/x/sys/unix"

	"headgate/kvm/vhost/vhosttest"
	"headgate/wire/wiretest"
)

// Rings in places where none can be.
func TestHostileLayouts(t *testing.T) {
	leakless(t)
	beside(t)
	const where = vhosttest.UserBase
	for _, c := range []struct {
		name              string
		size              uint32
		desc, used, avail uint64
		say               string
	}{
		{"a size of 3", 3, where, where + 4096, where + 2048, "a power of two"},
		{"descriptors at 8", 4, where + 8, where + 4096, where + 2048, "no multiple of 16"},
		{"an available ring at an odd place", 4, where, where + 4096, where + 2049, "no multiple of 2"},
		{"a used ring between words", 4, where, where + 4098, where + 2048, "no multiple of 4"},
		{"descriptors at a guest's address", 4, vhosttest.GuestBase, where + 4096, where + 2048, "descriptor table is at"},
		{"descriptors beyond the end", 1024, where + 1<<16 - 4096, where, where + 4096, "descriptor table is at"},
		{"a used ring beyond the end", 4, where, where + 1<<16 - 36, where + 2048, "used ring is at"},
		{"an available ring beyond the end", 4, where, where + 4096, where + 1<<16 - 12, "available ring is at"},
		{"a used ring around the last address", 4, where, 1<<64 - 16, where + 2048, "used ring is at"},
		{"descriptors at 0", 4, 0, where + 4096, where + 2048, "descriptor table is at"},
		{"a queue too long", 2048, where, where + 4096, where + 2048, "at most 1024"},
		{"a queue far too long", 1<<32 - 1, where, where + 4096, where + 2048, "at most 1024"},
	} {
		t.Run(c.name, func(t *testing.T) {
			leakless(t)
			r := connect(t, new(wiretest.Endless), vhosttest.Options{Memory: 1 << 16})
			r.say(t, vhosttest.SetFeatures, vhosttest.Longs(vhosttest.FeatureVersion1))
			if err := r.SetMemTable(r.Region()); err != nil {
				t.Fatal(err)
			}
			r.say(t, vhosttest.SetVringNum, vhosttest.Words(0, c.size))
			r.say(t, vhosttest.SetVringAddr, append(vhosttest.Words(0, 0), vhosttest.Longs(c.desc, c.used, c.avail, 0)...))
			r.say(t, vhosttest.SetVringKick, vhosttest.Longs(0), r.KickFD())
			r.stopped(c.say)
		})
	}
	t.Run("rings over each other", func(t *testing.T) {
		leakless(t)
		r := start(t, new(wiretest.Endless), vhosttest.Options{})
		r.say(t, vhosttest.SetVringAddr, append(vhosttest.Words(0, 0), vhosttest.Longs(where, where, where, 0)...))
		if err := r.ForceKick(); err != nil {
			t.Fatal(err)
		}
		// Whatever is made of that: it is in the guest's memory, and it ends.
		r.HangUp()
		_ = r.ended()
	})
}

// say sends a message; a device that hangs up meanwhile is as it may be.
func (r *rig) say(t testing.TB, request vhosttest.Request, payload []byte, fds ...int) {
	t.Helper()
	if err := r.Set(request, payload, fds...); err != nil {
		t.Logf("request %d: %v", request, err)
	}
}

// The memory's file is cut while it is mapped: touching it is a fault, which ends that
// device alone.
func TestTheMemoryIsCut(t *testing.T) {
	for name, left := range map[string]int64{"all of it": 0, "all but the rings": 12288} {
		t.Run(name, func(t *testing.T) {
			leakless(t)
			beside(t)
			tank := wiretest.NewTank(0)
			r := start(t, tank, vhosttest.Options{})
			r.post(vhosttest.Buffer(r.Data+8192, 64))
			dry(t, tank)
			if err := unix.Ftruncate(r.Memory.FD, left); err != nil {
				t.Fatal(err)
			}
			tank.Pour(1000)
			r.stopped("memory is gone")
			if n := tank.Unzeroed(); n > 0 {
				t.Errorf("%d bytes that were given away are still there", n)
			}
		})
	}
	t.Run("while nothing is asked for", func(t *testing.T) {
		leakless(t)
		beside(t)
		r := start(t, new(wiretest.Endless), vhosttest.Options{})
		r.read(64)
		if err := unix.Ftruncate(r.Memory.FD, 0); err != nil {
			t.Fatal(err)
		}
		if err := r.ForceKick(); err != nil {
			t.Fatal(err)
		}
		r.stopped("memory is gone")
	})
	t.Run("before the ring starts", func(t *testing.T) {
		leakless(t)
		beside(t)
		r := start(t, new(wiretest.Endless), vhosttest.Options{})
		if _, err := r.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := unix.Ftruncate(r.Memory.FD, 0); err != nil {
			t.Fatal(err)
		}
		r.say(t, vhosttest.SetVringKick, vhosttest.Longs(0), r.KickFD())
		r.say(t, vhosttest.SetVringEnable, vhosttest.Words(0, 1))
		r.stopped("memory is gone")
	})
}

// A file in memory can be far longer than there is memory, and a process has only so
// many addresses: what one front end takes, another is not refused.
func TestAddressesAreNotUsedUp(t *testing.T) {
	if raced {
		t.Skip("the race detector has most of the addresses")
	}
	leakless(t)
	host := sane
	sane = func() int64 { return maxMapped }
	t.Cleanup(func() { sane = host })
	beside(t)
	fd, err := unix.MemfdCreate("huge", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Ftruncate(fd, maxMapped); err != nil {
		t.Fatal(err)
	}
	all := vhosttest.Region{Guest: 0, User: 0, Size: maxMapped, FD: fd}
	two := connect(t, new(wiretest.Endless), vhosttest.Options{})
	more := all
	more.Guest, more.User, more.Size = maxMapped, maxMapped, 4096
	if err := two.SetMemTable(all, more); err != nil {
		t.Fatal(err)
	}
	two.stopped("more than the")
	for range allMapped/maxMapped - 1 {
		r := connect(t, new(wiretest.Endless), vhosttest.Options{})
		if err := r.SetMemTable(all); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Get(vhosttest.GetFeatures, nil); err != nil {
			t.Fatal(err)
		}
	}
	last := connect(t, new(wiretest.Endless), vhosttest.Options{})
	if err := last.SetMemTable(all); err != nil {
		t.Fatal(err)
	}
	last.stopped("all guests together")
}

// Nor does a guest have more memory than its host could give it.
func TestAGuestIsNotLargerThanItsHost(t *testing.T) {
	leakless(t)
	beside(t)
	fd, err := unix.MemfdCreate("larger", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	size := sane() + 1<<30
	if err := unix.Ftruncate(fd, size); err != nil {
		t.Fatal(err)
	}
	r := connect(t, new(wiretest.Endless), vhosttest.Options{})
	if err := r.SetMemTable(vhosttest.Region{Size: uint64(size), FD: fd}); err != nil {
		t.Fatal(err)
	}
	r.stopped("more than the")
}
