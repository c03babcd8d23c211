// Command nothing does nothing: what it takes from start to end any static Go program
// takes.
package main

func main() {}
