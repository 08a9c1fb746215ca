//go:build !amd64

package main

// compat has nothing to try: system calls of 32 bits need another program.
func compat([]string) error { return nil }
