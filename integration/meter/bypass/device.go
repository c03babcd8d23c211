//go:build linux

package main

import (
	"errors"
	"fmt"
	"time"
)

// Where the machine "microvm" has its virtio devices (include/hw/i386/microvm.h,
// VIRTIO_MMIO_BASE and _LEN), and where we put the queue and the buffer of requests.
const (
	firstDevice = 0xfeb00000
	deviceSize  = 512
	devices     = 24

	page   = 4096
	queue  = 0x100000
	buffer = 0x200000
	size   = 1024 // of the buffer
)

// Registers of a virtio device, the legacy layout (virtio 1.1, §4.2.4).
const (
	magic       = 0x000 // "virt"
	deviceID    = 0x008
	guestPage   = 0x028
	queueSelect = 0x030
	queueSize   = 0x038
	queueAlign  = 0x03c
	queuePage   = 0x040
	queueNotify = 0x050
	status      = 0x070

	magicValue = 0x74726976
	entropyID  = 4 // §5.4
	driverOK   = 1 | 2 | 4
)

// The queue, of which one descriptor is used: that table, then what is available, and in
// the next page what was used (§2.6.2).
const (
	descriptors = 8
	available   = queue + 16*descriptors
	used        = queue + page
	deviceWrite = 2 // flag of a descriptor: VIRTQ_DESC_F_WRITE
)

// device is a virtio-rng of the machine.
type device struct {
	machine
	base uint64
}

// find finds it and makes it ready.
func find(m machine) (device, error) {
	for n := range uint64(devices) {
		d := device{m, firstDevice + n*deviceSize}
		id, err := d.get(magic)
		if err != nil {
			return d, err
		}
		if id != magicValue {
			continue
		}
		if id, err = d.get(deviceID); err != nil {
			return d, err
		}
		if id == entropyID {
			return d, d.start()
		}
	}
	return device{}, errors.New("the machine has no virtio-rng: it wants -M microvm -device virtio-rng-device")
}

func (d device) get(register uint64) (uint64, error) { return d.do("readl 0x%x", d.base+register) }

// start sets the queue up, with one descriptor of the buffer.
func (d device) start() error {
	for _, w := range []struct {
		register uint64
		value    uint32
	}{
		{guestPage, page}, {queueSelect, 0}, {queueSize, descriptors}, {queueAlign, page}, {queuePage, queue / page}, {status, driverOK},
	} {
		if _, err := d.do("writel 0x%x 0x%x", d.base+w.register, w.value); err != nil {
			return err
		}
	}
	_, err := d.do("writeq 0x%x 0x%x", queue, buffer)
	return err
}

// patience is for one request.
const patience = 10 * time.Second

// read asks for so many bytes, one buffer after the other.
func (d device) read(bytes int) error {
	for n := 1; bytes > 0; n++ {
		got, err := d.request(n, min(bytes, size))
		if err != nil {
			return err
		}
		bytes -= got
	}
	return nil
}

// request is the n-th: a buffer is made available, and waited for until it was used.
func (d device) request(n, bytes int) (int, error) {
	for _, command := range []string{
		fmt.Sprintf("writel 0x%x 0x%x", queue+8, bytes),
		fmt.Sprintf("writel 0x%x 0x%x", queue+12, deviceWrite),
		fmt.Sprintf("writew 0x%x 0x%x", available+4+2*((n-1)%descriptors), 0),
		fmt.Sprintf("writew 0x%x 0x%x", available+2, uint16(n)),
		fmt.Sprintf("writel 0x%x 0", d.base+queueNotify),
	} {
		if _, err := d.do("%s", command); err != nil {
			return 0, err
		}
	}
	for over := time.Now().Add(patience); time.Now().Before(over); {
		index, err := d.do("readw 0x%x", used+2)
		if err != nil {
			return 0, err
		}
		if uint16(index) == uint16(n) {
			got, err := d.do("readl 0x%x", used+4+8*((n-1)%descriptors)+4)
			return int(got), err
		}
	}
	return 0, fmt.Errorf("no answer to request %d in %s", n, patience)
}
