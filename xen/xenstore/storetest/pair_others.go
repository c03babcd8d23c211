//go:build !unix

package storetest

import "net"

func pair() (a, b net.Conn, err error) {
	a, b = net.Pipe()
	return a, b, nil
}
