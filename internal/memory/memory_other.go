//go:build !linux

package memory

// Free is 0: the system is not asked.
func Free() int64 { return 0 }

// HugePages does nothing.
func HugePages([]byte) {}
