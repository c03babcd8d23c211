package backends

import (
	"maps"
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"headgate/backends/health"
)

// The states of a source.
const (
	Missing  = "missing"  // it cannot be opened, or it died
	Starting = "starting" // it is open and in its start-up test
	Up       = "up"
	Failed   = "failed" // a health test stopped it
	Ended    = "ended"  // a regular file is used up, or Run has returned
	// Restarting: it is opened and closed again and again for CaptureRestarts, and
	// nothing of it is used meanwhile.
	Restarting = "restarting"
)

// The kinds of an Event.
const (
	StartupPassed = "startup_passed"
	StartupFailed = "startup_failed" // an error
	SourceUp      = "source_up"
	SourceFailed  = "source_failed"  // an error
	SourceLost    = "source_lost"    // a warning: it was there and is no longer
	SourceMissing = "source_missing" // a warning: it cannot be opened
	CreditChanged = "credit_changed" // the claim, or whether it counts, is another than at the last Open
	RestartsBegan = "restarts_began" // its restarts are captured: until RestartsEnded it is not up
	RestartsEnded = "restarts_ended"
)

// Event is something that happened to a source. A missing or lost source gives
// one event, however often it is tried after that.
type Event struct {
	Time   time.Time `json:"time"`
	Kind   string    `json:"kind"`
	Source string    `json:"source"`
	Test   string    `json:"test,omitempty"` // of a failure
	Detail string    `json:"detail,omitempty"`
}

// Status is a snapshot of a source and its pump.
type Status struct {
	Name        string            `json:"name"`
	Kind        string            `json:"kind"`
	Path        string            `json:"path,omitempty"`
	Driver      string            `json:"driver,omitempty"`
	Origin      string            `json:"origin,omitempty"`
	Noise       Noise             `json:"noise"`
	Credited    bool              `json:"credited"`
	Detail      string            `json:"detail,omitempty"` // what was measured of the device when it was opened
	MinEntropy  float64           `json:"min_entropy"`      // bits per byte
	Assumed     bool              `json:"assumed"`
	State       string            `json:"state"`
	Error       string            `json:"error,omitempty"` // why it is not up
	LastError   *LastError        `json:"last_error,omitempty"`
	Since       time.Time         `json:"since"`        // of the state
	RawBytes    uint64            `json:"raw_bytes"`    // read from the source
	EntropyBits uint64            `json:"entropy_bits"` // poured and credited
	Startups    uint64            `json:"startups"`     // start-up tests passed
	Failures    map[string]uint64 `json:"failures"`     // by test, start-up or not
	LastFailure *LastFailure      `json:"last_failure,omitempty"`
}

// LastError is why the source was not up when it was not, last; it stays when the
// source is up again.
type LastError struct {
	Text string    `json:"text"`
	Time time.Time `json:"time"`
}

// LastFailure is the latest failure of a health test.
type LastFailure struct {
	Test string    `json:"test"`
	Time time.Time `json:"time"`
}

// record is what a pump tells of its source. The counters that change with every
// window are apart from the lock.
type record struct {
	event func(Event)
	raw   atomic.Uint64
	bits  atomic.Uint64 // a float64; one goroutine adds

	mu     sync.Mutex
	status Status
}

func newRecord(c Config, event func(Event)) *record {
	noise, credited := c.expected()
	return &record{event: event, status: Status{
		Name: c.Name, Kind: c.Type, Path: c.Path, Origin: c.Origin, MinEntropy: c.MinEntropy,
		Noise: noise, Credited: credited,
		State: Starting, Since: time.Now(),
		Failures: map[string]uint64{health.RCT: 0, health.APT: 0, health.MCV: 0},
	}}
}

func (r *record) snapshot() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.status
	s.Failures = maps.Clone(s.Failures)
	s.RawBytes = r.raw.Load()
	s.EntropyBits = uint64(math.Float64frombits(r.bits.Load()))
	return s
}

func (r *record) credit(bits float64) {
	r.bits.Store(math.Float64bits(math.Float64frombits(r.bits.Load()) + bits))
}

// enter changes the state; err says why, if it is not a good one.
func (r *record) enter(state string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.set(state, err)
}

// set is enter with r.mu held.
func (r *record) set(state string, err error) {
	if r.status.State != state {
		r.status.State, r.status.Since = state, time.Now()
	}
	r.status.Error = ""
	if err != nil {
		r.status.Error = err.Error()
		r.status.LastError = &LastError{err.Error(), time.Now()}
	}
	if state == Up {
		r.status.Startups++
	}
}

// opened notes what an Open found, and tells when the claim is another than before.
func (r *record) opened(info Info) {
	r.enter(Starting, nil)
	r.mu.Lock()
	s := &r.status
	known, before := s.MinEntropy != 0, claim(s.MinEntropy, s.Credited)
	s.Kind, s.Path, s.Driver, s.Origin = info.Kind, info.Path, info.Driver, info.Origin
	s.Noise, s.Credited, s.Detail = info.Noise, info.Credited, info.Detail
	s.MinEntropy, s.Assumed = info.MinEntropy, info.Assumed
	r.mu.Unlock()
	if after := claim(info.MinEntropy, info.Credited); known && before != after {
		r.tell(Event{Kind: CreditChanged, Detail: "from " + before + " to " + after})
	}
}

func claim(h float64, credited bool) string {
	bits := strconv.FormatFloat(h, 'g', 4, 64) + " bits per byte"
	if !credited {
		bits += " (not credited)"
	}
	return bits
}

// failed notes the failure of a health test, in a start-up test or later.
func (r *record) failed(f *health.Failure, kind string) {
	r.mu.Lock()
	r.set(Failed, f)
	r.status.Failures[f.Test]++
	r.status.LastFailure = &LastFailure{f.Test, time.Now()}
	r.mu.Unlock()
	r.tell(Event{Kind: kind, Test: f.Test, Detail: f.Error()})
}

func (r *record) tell(e Event) {
	if r.event != nil {
		e.Time, e.Source = time.Now(), r.status.Name
		r.event(e)
	}
}
