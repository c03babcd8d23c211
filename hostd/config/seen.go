package config

// seen finds names and paths that are used twice: each with who used it first.
type seen map[string]string

// name takes the name of the element at a path, once.
func (s seen) name(at, name string, report report) {
	if err := CheckName(name); err != nil {
		report(at+".name", err)
		return
	}
	s.take(at+".name", name, "another", report)
}

// take takes what must be used once, for who.
func (s seen) take(at, what, who string, report report) {
	if first, taken := s[what]; taken {
		report(at, refuse("one that nothing else has", "%q is taken by %s", clip(what), clip(first)))
		return
	}
	s[what] = who
}
