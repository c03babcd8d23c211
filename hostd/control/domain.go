package control

// DomainProblem is a problem of a domain that has no guest.
type DomainProblem struct {
	Domain string `json:"domain"`
	ID     int    `json:"id,omitempty"` // Xen's domid
	Problem
}

// DomainStatus is what is known of the domain, libvirt's or Xen's, behind a guest.
type DomainStatus struct {
	Name     string    `json:"name"`
	UUID     string    `json:"uuid"`
	ID       int       `json:"id,omitempty"`       // new with every QEMU; Xen's domid; 0: not known yet
	Problems []Problem `json:"problems,omitempty"` // what its policy or its devices have wrong
}

// DomainProblems are those of a domain of libvirt's, whether or not it has a guest.
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
