package doctor

import "fmt"

// Level says how bad a finding is.
type Level string

// Levels of a finding.
const (
	OK    Level = "ok"
	Note  Level = "note"  // works, and could be better
	Fault Level = "fault" // a guest is not fed, or not as it should be
)

// Finding is what one check has to say of one thing.
type Finding struct {
	Level  Level  `json:"level"`
	About  string `json:"about"`            // hook, hostd, libvirt, apparmor, selinux, xen, xenstore, guest or domain
	Domain string `json:"domain,omitempty"` // the name of the domain that it is about
	Text   string `json:"text"`
	Remedy string `json:"remedy,omitempty"` // what mends it: a command, or what to write and where
}

func good(about, format string, args ...any) Finding {
	return Finding{Level: OK, About: about, Text: fmt.Sprintf(format, args...)}
}

func note(about, remedy, format string, args ...any) Finding {
	return Finding{Level: Note, About: about, Text: fmt.Sprintf(format, args...), Remedy: remedy}
}

func fault(about, remedy, format string, args ...any) Finding {
	return Finding{Level: Fault, About: about, Text: fmt.Sprintf(format, args...), Remedy: remedy}
}

// Check judges one aspect of the host.
type Check func(Facts) []Finding

// Checks are all there are, the host's before the domains'.
func Checks() []Check {
	return []Check{daemon, guarded, following, version, hook, appArmorGuests, appArmorHook, seLinux, denials, domains, strangers}
}

// Examine puts the facts to every check.
func Examine(f Facts) []Finding {
	var found []Finding
	for _, check := range Checks() {
		found = append(found, check(f)...)
	}
	return found
}

// Count says how many findings are of that level.
func Count(found []Finding, l Level) (n int) {
	for _, f := range found {
		if f.Level == l {
			n++
		}
	}
	return n
}
