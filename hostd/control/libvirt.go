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

// DomainProblem is a problem of a domain that has no guest.
type DomainProblem struct {
	Domain string `json:"domain"`
	Problem
}

// DomainStatus is what is known of the domain behind a guest.
type DomainStatus struct {
	Name     string    `json:"name"`
	UUID     string    `json:"uuid"`
	ID       int       `json:"id,omitempty"`       // new with every QEMU; 0: not known yet
	Problems []Problem `json:"problems,omitempty"` // what its policy or its devices have wrong
}

// DomainProblems are those of a domain, whether or not it has a guest.
func (s Status) DomainProblems(name, uuid string) (found []Problem) {
	for _, g := range s.Guests {
		if g.Domain != nil && g.Domain.UUID == uuid {
			return g.Domain.Problems
		}
	}
	for _, p := range s.Libvirt.Problems {
		if p.Domain == name {
			found = append(found, p.Problem)
		}
	}
	return found
}

// Kinds of a problem, and of the event that says that there is one.
const (
	DomainPolicy   = "domain_policy"   // what its policy has wrong
	DomainMiswired = "domain_miswired" // what its devices have wrong
)

// Problem is something wrong with a domain.
type Problem struct {
	Kind string `json:"kind"`
	Text string `json:"text"`
}
