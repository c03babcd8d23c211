package control

import (
	"context"
	"errors"
	"io"
	"time"

	"headgate/backends"
	"headgate/hostd/config"
	"headgate/hostd/events"
)

// Errors that a Daemon wraps so that the server answers with a fitting status.
var (
	ErrNotFound = errors.New("not found")      // 404
	ErrExists   = errors.New("already exists") // 409
	ErrInvalid  = errors.New("invalid")        // 400
)

// Daemon is what the API shows and changes. All methods may be called from many
// goroutines at once. Errors that wrap ErrNotFound, ErrExists or ErrInvalid, or
// that hold a *config.Error, are the caller's fault; any other is the daemon's.
type Daemon interface {
	// Status is all but the meter's, which takes a look at processes.
	Status() Status
	Meter() MeterStatus
	AddGuest(GuestSpec) error
	RemoveGuest(name string) error
	SetGuest(name string, patch GuestPatch) error
	// PushGuest pushes fresh bytes to the guest's guestd. One that no pipe leads to is
	// ErrInvalid.
	PushGuest(name string) (Push, error)
	// TestSource takes n raw samples of a running source and judges them.
	TestSource(ctx context.Context, name string, n int) (SourceTest, error)
	// CaptureSource writes exactly n raw bytes to w; they never reach the reservoir.
	CaptureSource(ctx context.Context, name string, n int, w io.Writer) error
	// CaptureRestarts writes exactly that many raw bytes of each restart to w, row after
	// row; they never reach the reservoir.
	CaptureRestarts(ctx context.Context, name string, restarts, samples int, w io.Writer) error
	// GiveSeed waits for SeedSize bytes that nobody else gets and hands them to give,
	// with the number of seeds that the name has had, this one included. They are wiped
	// when give returns. An error of give is returned: that seed is lost.
	GiveSeed(ctx context.Context, r SeedRequest, give func(count uint64, seed []byte) error) error
	// RNG tells who reads randomness from the kernel. A meter that is off is ErrInvalid;
	// one that could not be attached says why.
	RNG() (RNG, error)
	// Reload reads the configuration again; on an error the old one stays.
	Reload() error
	// Hook takes in what libvirt's hook, or a live attach, tells of a domain.
	Hook(HookCall) error
	Events() *events.Log
}

// Status is a snapshot of the whole daemon.
type Status struct {
	Version   string          `json:"version"`
	PID       int             `json:"pid"`
	Started   time.Time       `json:"started"`
	Config    string          `json:"config"` // path of the file; empty: the embedded default
	Warnings  []string        `json:"warnings"`
	Sources   []SourceStatus  `json:"sources"`
	Reservoir ReservoirStatus `json:"reservoir"`
	Classes   []config.Class  `json:"classes"`
	Guests    []GuestStatus   `json:"guests"` // in the order of their names
	Host      HostStatus      `json:"host"`
	// SeedsGiven counts the seeds of hostd seed, since the start of the daemon.
	SeedsGiven uint64 `json:"seeds_given"`

	Libvirt LibvirtStatus `json:"libvirt"`
	Xen     XenStatus     `json:"xen"`

	Guard GuardStatus `json:"guard"`
	Meter MeterStatus `json:"meter"`
}

// SourceStatus is the state of one source, as its pump tells it.
type SourceStatus = backends.Status

// ReservoirStatus tells how full the reservoir is, in bytes, and what fills it.
type ReservoirStatus struct {
	Level            int            `json:"level"`
	Capacity         int            `json:"capacity"`
	BootReserve      int            `json:"boot_reserve"`
	MinSources       int            `json:"min_sources"`       // origins that a block needs
	OriginsUp        int            `json:"origins_up"`        // distinct ones that have a credited source which is up
	Origins          []OriginStatus `json:"origins"`           // of the credited sources that were ever open
	Waiting          string         `json:"waiting,omitempty"` // why nothing new comes, if nothing does: who wants its bytes waits
	ConditionedBytes uint64         `json:"conditioned_bytes"` // since the start of the daemon
}

// OriginStatus is one piece of noise, with the credited sources that read it.
type OriginStatus struct {
	Name    string   `json:"name"`
	Up      bool     `json:"up"` // one of them is
	Sources []string `json:"sources"`
}

// Origins of a guest.
const (
	OriginConfig = "config" // from the configuration file
	OriginAPI    = "api"    // added live

	OriginLibvirt = "libvirt" // a domain of libvirt's, which comes and goes with it
	OriginXen     = "xen"     // a domain of Xen's, likewise
)

// GuestStatus is what is known about one guest.
type GuestStatus struct {
	Name            string       `json:"name"`
	Class           string       `json:"class"`
	Quality         string       `json:"quality"`
	Rate            config.Rate  `json:"rate"`
	Burst           config.Size  `json:"burst"`
	Weight          int          `json:"weight"`
	Origin          string       `json:"origin"`
	Transient       bool         `json:"transient,omitempty"`
	Pipes           []PipeStatus `json:"pipes"`
	DRBGRate        config.Rate  `json:"drbg_rate,omitzero"` // of the bytes above those of the reservoir
	Bytes           uint64       `json:"bytes"`
	BytesFull       uint64       `json:"bytes_full"`     // of them, those of the reservoir
	BytesDRBG       uint64       `json:"bytes_drbg"`     // of them, those of its DRBG
	DRBG            *DRBGStatus  `json:"drbg,omitempty"` // nil: it has none
	Requests        uint64       `json:"requests"`
	Waiting         bool         `json:"waiting"` // a request of it waits now
	ThrottledRate   float64      `json:"throttled_rate_seconds"`
	ThrottledSupply float64      `json:"throttled_supply_seconds"`
	FirstBytes      float64      `json:"first_bytes_seconds"` // from connect to the first bytes; 0: none yet
	Seeded          bool         `json:"seeded"`              // has had its first 64 bytes since it came
	LastReport      *Report      `json:"last_report,omitempty"`
	// SeededSeconds is how long it took from when guestd was connected, or pushed to,
	// last to its report that its kernel is seeded; 0: none has come since.
	SeededSeconds float64 `json:"seeded_seconds,omitempty"`
	// Reseeds counts guestd's reports by their reason: one of package feed's.
	Reseeds map[string]uint64 `json:"reseeds,omitempty"`

	Domain *DomainStatus `json:"domain,omitempty"` // nil: not one of libvirt's or Xen's, or it is not there
}

// DRBGStatus is the state of a guest's own DRBG.
type DRBGStatus struct {
	SeededAt  time.Time `json:"seeded_at,omitzero"` // the last time; zero: it has not been asked for anything yet
	Seeds     uint64    `json:"seeds"`              // how many it has had, the first included
	SeedBytes uint64    `json:"seed_bytes"`         // that the reservoir gave for them
	Stale     bool      `json:"stale"`              // max_stale is over: it gives nothing until there is a seed
}

// HostStatus tells how the pool of this host's own kernel is fed.
type HostStatus struct {
	Feed         bool        `json:"feed"` // it is to be
	Class        string      `json:"class,omitempty"`
	Quality      string      `json:"quality,omitempty"`
	Waiting      bool        `json:"waiting,omitempty"` // bytes for it are waited for now
	Bytes        uint64      `json:"bytes"`             // mixed into the pool
	CreditedBits uint64      `json:"credited_bits"`     // of min-entropy, with them
	FedAt        time.Time   `json:"fed_at,omitzero"`   // the last time
	DRBG         *DRBGStatus `json:"drbg,omitempty"`    // nil: it has none
	Error        string      `json:"error,omitempty"`   // why it was not the last time
}

// PipeStatus is the state of one pipe of a guest. The path of a vchan pipe is what
// names its domain.
type PipeStatus struct {
	Kind        string `json:"kind"`
	Path        string `json:"path"`
	Server      bool   `json:"server,omitempty"` // of a vhost-user pipe: hostd listens
	Connected   bool   `json:"connected"`
	Connections uint64 `json:"connections"` // accepted since the pipe was made
	Requests    uint64 `json:"requests"`
	Bytes       uint64 `json:"bytes"`
	Refused     uint64 `json:"refused"`         // peers turned away
	Errors      uint64 `json:"errors"`          // connections closed for what came, and reads of garbage
	Dropped     uint64 `json:"dropped"`         // asked for or offered, and not taken: EGD's opcode 03, requests beyond the bound
	Error       string `json:"error,omitempty"` // why it is not open, or not connected though it could be
}

// Pipe is the pipe itself.
func (s PipeStatus) Pipe() config.Pipe {
	return config.Pipe{Kind: s.Kind, Path: s.Path, Server: s.Server}
}

// Report is what guestd last said of itself; every text in it is the guest's word.
type Report struct {
	Received     time.Time `json:"received"`
	Version      string    `json:"version"`
	BootID       string    `json:"boot_id"`
	Rebooted     time.Time `json:"rebooted,omitzero"`  // when the boot id was another than that of the report before
	SeededAt     time.Time `json:"seeded_at,omitzero"` // by the guest's clock; zero: its kernel is not seeded
	CreditedBits uint64    `json:"credited_bits"`
	Reason       string    `json:"reason"`
}

// GuestSpec is a guest to be added.
type GuestSpec struct {
	config.Guest
	// Transient guests belong to a toolstack that brings them again by itself:
	// they are not in the state file and are gone after a restart.
	Transient bool `json:"transient,omitempty"`
}

// GuestPatch changes what is not nil. With a class, the guest's own rate, burst
// and weight go back to the class's, unless they are given too.
type GuestPatch struct {
	Class  *string      `json:"class,omitempty"`
	Rate   *config.Rate `json:"rate,omitempty"`
	Burst  *config.Size `json:"burst,omitempty"`
	Weight *int         `json:"weight,omitempty"`
}

// SourceTest is the verdict on samples that were taken of a running source.
type SourceTest struct {
	Name       string  `json:"name"`
	Samples    int     `json:"samples"`
	Seconds    float64 `json:"seconds"` // that taking them took
	MinEntropy float64 `json:"min_entropy"`
	Assumed    bool    `json:"assumed"` // min_entropy is not an assessed figure
	// Estimate is the most-common-value estimate, bits per byte (SP 800-90B
	// §6.3.1): an upper bound to hold the claim against, not an assessment.
	Estimate   float64 `json:"estimate"`
	LongestRun int     `json:"longest_run"`
	RCTCutoff  int     `json:"rct_cutoff"`
	APTCutoff  int     `json:"apt_cutoff"`
	Passed     bool    `json:"passed"`
	Failure    string  `json:"failure,omitempty"`
}
