package control

import "time"

// LibvirtStatus tells how hostd follows libvirt.
type LibvirtStatus struct {
	Follow    bool      `json:"follow"`    // the configuration wants it
	Connected bool      `json:"connected"` // to libvirt, now
	Socket    string    `json:"socket,omitempty"`
	Version   string    `json:"version,omitempty"` // of libvirt
	Error     string    `json:"error,omitempty"`   // why it is not connected
	Guests    string    `json:"guests"`            // folder of the domains' sockets
	Domains   int       `json:"domains"`           // that are fed or are to be
	HookCalls uint64    `json:"hook_calls"`        // since the start of the daemon
	LastHook  time.Time `json:"last_hook,omitzero"`
	// Problems are those of domains that have no guest, the first by name; each
	// guest tells of its own.
	Problems     []DomainProblem `json:"problems,omitempty"`
	ProblemCount int             `json:"problem_count,omitempty"` // of all such domains
}
