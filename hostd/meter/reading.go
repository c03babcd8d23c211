package meter

import "time"

// Way is one of the ways to the kernel's randomness.
type Way string

const (
	HWRNG     Way = "hwrng"     // /dev/hwrng: the hardware itself
	Random    Way = "random"    // /dev/random
	Urandom   Way = "urandom"   // /dev/urandom
	Getrandom Way = "getrandom" // getrandom(2), the system call
)

// Ways are all of them, in the order of every list and table.
func Ways() []Way { return []Way{HWRNG, Random, Urandom, Getrandom} }

// Options of Attach.
type Options struct {
	Kprobe bool // never fentry, also where the kernel has it
	// PIDFile is where libvirt keeps the process id of a domain's QEMU, which vouches
	// for the name that the process gives itself; nil is nobody vouching.
	PIDFile func(domain string) string
}

// Reading is what the meter shows at one moment. All figures count from Since and
// never fall.
type Reading struct {
	Since time.Time  `json:"since"`
	Ways  []WayCount `json:"ways"`  // all four, in the order of Ways
	Users []User     `json:"users"` // by bytes of all ways, descending
	Other Other      `json:"other"`
	Notes []string   `json:"notes"` // what the figures do not hold, a sentence each
}

// WayCount is the whole of one way: the sum of the users and of Other.
type WayCount struct {
	Way      Way    `json:"way"`
	How      string `json:"how"`           // "fentry" or "kprobe"; "" where the way is not seen
	Function string `json:"function"`      // of the kernel, at whose end it is counted
	Why      string `json:"why,omitempty"` // it is not seen
	Bytes    uint64 `json:"bytes"`
	Calls    uint64 `json:"calls"`
	// Missed are calls that are known not to be counted: a preemptible kernel runs no
	// program on a CPU where the same one was interrupted half-way, a kretprobe has
	// room for so many blocked readers only. Zero is what one should see.
	Missed uint64 `json:"missed"`
}

// User is one process, or all those that ended under one name in one cgroup.
type User struct {
	PID     int            `json:"pid"` // of ended ones the last
	Process string         `json:"process"`
	Cgroup  string         `json:"cgroup"` // path in the cgroup v2 hierarchy; "" if it is gone
	QEMU    bool           `json:"qemu"`
	Domain  string         `json:"domain,omitempty"` // of a QEMU, as it calls itself
	Vouched bool           `json:"vouched"`          // libvirt says so too
	Gone    bool           `json:"gone"`             // ended
	Bytes   map[Way]uint64 `json:"bytes"`
	Calls   map[Way]uint64 `json:"calls"`
}

// Other is who could not be told apart, because there were too many at once.
type Other struct {
	Bytes map[Way]uint64 `json:"bytes"`
	Calls map[Way]uint64 `json:"calls"`
}

// Total is the bytes of all ways.
func (u User) Total() (n uint64) {
	for _, b := range u.Bytes {
		n += b
	}
	return n
}
