//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"headgate/guestd/kernelpool"
)

// The commands of an EGD client (egd.pl; ekeyd's README.egd-protocol).
const (
	egdLevel = 0 // answer: how many bits there are, 4 bytes
	egdSome  = 1 // one byte: how many; answer: one byte how many, and those
	egdAll   = 2 // one byte: how many; answer: those
	egdName  = 4 // answer: one byte how long, and the process's name
)

func serveEGD(address, file string) error {
	stock, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			if err := answer(conn, stock); !errors.Is(err, io.EOF) {
				fmt.Println("EGD client:", err)
			}
		}()
	}
}

// answer answers one client until it goes, which is io.EOF.
func answer(conn io.ReadWriter, stock []byte) error {
	for at := 0; ; {
		var command [1]byte
		if _, err := io.ReadFull(conn, command[:]); err != nil {
			return err
		}
		var reply []byte
		switch command[0] {
		case egdLevel:
			reply = []byte{0, 0, 0x80, 0}
		case egdSome, egdAll:
			var count [1]byte
			if _, err := io.ReadFull(conn, count[:]); err != nil {
				return err
			}
			if command[0] == egdSome {
				reply = append(reply, count[0])
			}
			for range count[0] {
				reply = append(reply, stock[at%len(stock)])
				at++
			}
		case egdName:
			reply = []byte("\x03egd")
		default:
			return fmt.Errorf("unknown command %d", command[0])
		}
		if _, err := conn.Write(reply); err != nil {
			return err
		}
	}
}

func reseed() error {
	pool, err := kernelpool.Open()
	if err != nil {
		return err
	}
	defer pool.Close()
	return pool.Reseed()
}
