package job

import (
	"syscall"
	"time"
)

// PortName is the virtio-serial port that carries this protocol. It is beside
// the port under test, not instead of it.
const PortName = "headgate.rig.0"

// BootModules is the kernel parameter that lists the modules guestinit inserts
// before it opens the port, comma-separated and in order.
const BootModules = "headgate.modules"

// PortDevice is the kernel parameter that names a terminal under /dev that
// carries this protocol in place of the virtio-serial port, for guests that have
// no virtio: "hvc0".
const PortDevice = "headgate.port"

// OutputName is the virtio-serial port of a program's output (Command.Output).
const OutputName = "headgate.rig.output"

// ModuleDir is where the initramfs keeps kernel modules, as NAME.ko.
const ModuleDir = "/lib/rig"

// Marker starts every line that guestinit writes to the kernel's log, so that
// its own acts and the kernel's have timestamps of one clock.
const Marker = "headgate: "

// CRNGReady is what the kernel logs once its generator is seeded
// (drivers/char/random.c, crng_set_ready's pr_notice).
const CRNGReady = "random: crng init done"

// What a Command can ask for.
const (
	Hello     = "hello"     // sent by guestinit itself, ID 0, when it is ready
	Insmod    = "insmod"    // insert Args in order
	Read      = "read"      // read Path without pause, report progress
	Stop      = "stop"      // end the Read or Start whose ID is Target
	Run       = "run"       // run Args to the end, at most For
	Start     = "start"     // start Args and report its pid; Last when it ends
	Proc      = "proc"      // memory of PID
	Log       = "log"       // records of the kernel's log that contain one of Args
	AwaitLog  = "await-log" // block until the kernel's log contains Args[0], at most For
	Heartbeat = "heartbeat" // how punctual the guest was since the last look
	PowerOff  = "poweroff"
)

// Command is one line from the host.
type Command struct {
	ID     uint64        `json:"id"`
	Do     string        `json:"do"`
	Args   []string      `json:"args,omitempty"`
	Path   string        `json:"path,omitempty"`
	Target uint64        `json:"target,omitempty"`
	PID    int           `json:"pid,omitempty"`
	For    time.Duration `json:"for,omitempty"`    // nanoseconds
	Chunk  int           `json:"chunk,omitempty"`  // bytes a read(2), 64 if not given
	Pause  time.Duration `json:"pause,omitempty"`  // between two reads
	Dir    string        `json:"dir,omitempty"`    // of a program that is started
	Env    []string      `json:"env,omitempty"`    // its environment, beside guestinit's own
	Output string        `json:"output,omitempty"` // the virtio-serial port that its output goes to as it comes
	Keep   bool          `json:"keep,omitempty"`   // report the bytes, not only their number
}

// Answer is one line from the guest. Times are nanoseconds of the guest's
// CLOCK_MONOTONIC, but those of Records, which are the kernel log's own.
type Answer struct {
	ID    uint64   `json:"id"`
	Last  bool     `json:"last,omitempty"`
	Error string   `json:"error,omitempty"`
	Now   int64    `json:"now"`
	At    int64    `json:"at,omitempty"`    // when the last of Total was read
	Total int64    `json:"total,omitempty"` // bytes read so far
	Data  []byte   `json:"data,omitempty"`  // what was read since the answer before
	Exit  *Exit    `json:"exit,omitempty"`
	PID   int      `json:"pid,omitempty"`
	Proc  *Memory  `json:"proc,omitempty"`
	Log   []Record `json:"log,omitempty"`
	Beat  *Beat    `json:"beat,omitempty"`
}

// Exit tells how a program ended.
type Exit struct {
	Code   int    `json:"code"`             // -1: ended by a signal
	Signal string `json:"signal,omitempty"` // that signal, as "terminated"
	Stdout string `json:"stdout,omitempty"`
	Stderr string `json:"stderr,omitempty"`

	Began time.Duration `json:"began"` // when it was started, by CLOCK_BOOTTIME
	Took  time.Duration `json:"took"`  // from then until it had been waited for
}

// Memory is a process's resident memory in KiB, from /proc/PID/status
// (proc(5): VmHWM is the peak, VmRSS what it is now), and what its threads did; with
// the guest's time at that moment, for what is to be divided by it.
type Memory struct {
	PeakKiB  int `json:"peak_kib"`
	NowKiB   int `json:"now_kib"`
	Threads  int `json:"threads"`
	Switches int `json:"switches"` // context switches of all of them, voluntary or not

	Spent  time.Duration `json:"spent"`  // processor time of all of them, and of those that have ended
	Uptime time.Duration `json:"uptime"` // of the guest
	Idle   time.Duration `json:"idle"`   // of that, with nothing to do: of all its processors together
}

// Record is one record of /dev/kmsg.
type Record struct {
	At   time.Duration `json:"at"` // the kernel's printk clock, 1 µs steps
	Text string        `json:"text"`
}

// Stopped tells whether the program ended as one does that was asked to with
// SIGTERM: by itself and well, or by the signal.
func (e Exit) Stopped() bool { return e.Code == 0 || e.Signal == syscall.SIGTERM.String() }

// Beat counts a heartbeat of one every BeatEvery: a beat is late by what the
// guest could not run at the time it wanted to.
type Beat struct {
	Beats   int           `json:"beats"`
	Late    int           `json:"late"`    // more than BeatLate late
	Longest time.Duration `json:"longest"` // the latest of them
}

// BeatEvery is the heartbeat's period, BeatLate what counts as a stall.
const (
	BeatEvery = 100 * time.Millisecond
	BeatLate  = time.Second
)
