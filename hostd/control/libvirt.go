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
}

// DomainStatus is what is known of the domain behind a guest.
type DomainStatus struct {
	Name     string   `json:"name"`
	UUID     string   `json:"uuid"`
	ID       int      `json:"id,omitempty"`       // new with every QEMU; 0: not known yet
	Problems []string `json:"problems,omitempty"` // what its policy or its devices have wrong
}
