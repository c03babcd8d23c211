package control

// XenStatus tells how hostd follows Xen's domains.
type XenStatus struct {
	Follow    bool   `json:"follow"`    // the configuration wants it
	Dom0      bool   `json:"dom0"`      // this host is a Xen dom0; else there is nothing to follow
	Connected bool   `json:"connected"` // to xenstored, now
	Socket    string `json:"socket,omitempty"`
	Error     string `json:"error,omitempty"` // why it is not connected
	Unlisted  bool   `json:"unlisted"`        // domains without a policy are served, too
	Domains   int    `json:"domains"`         // that are fed or are to be
	// Problems are those of domains that have no guest, the first by name; each
	// guest tells of its own.
	Problems     []DomainProblem `json:"problems,omitempty"`
	ProblemCount int             `json:"problem_count,omitempty"` // of all such domains
}
