//go:build !race

package vhost

const raced = false
