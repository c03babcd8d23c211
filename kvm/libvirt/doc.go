// Package libvirt knows of libvirt what Headgate needs: it reads a domain's XML,
// makes the pieces of XML that wire a domain to its pipes, asks a libvirtd over its
// unix socket, and follows its domains.
//
// It keeps these promises: XML is somebody else's word, so what is read from it is
// bounded and judged by the caller, never obeyed; XML that is changed keeps all that
// was in it, byte for byte, known or not; a libvirtd that is away, restarts or hangs
// costs a task that waits, and nothing else; every call ends with its context.
//
// libvirtd itself runs as root and is trusted to speak its own protocol. What else
// may be at a socket that was named wrongly is not: a frame that cannot be libvirt's
// ends the connection before anything of it is believed.
package libvirt
