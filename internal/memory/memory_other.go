//go:build !linux

package memory

// Free returns 0: unknown.
func Free() int64 { return 0 }

// HugePages does nothing.
func HugePages([]byte) {}
