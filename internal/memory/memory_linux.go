package memory

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Free returns the number of bytes that the system can give without swapping,
// or 0 if the system does not report it.
func Free() int64 {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "MemAvailable:"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10
		}
	}
	return 0
}

// HugePages advises the kernel to back b with pages of 2 MiB. Call it before b
// is first used. The processor caches the addresses of few pages, so that large
// pages make sequential reads faster.
func HugePages(b []byte) {
	const size = 2 << 20
	// Madvise wants whole pages: skip the bytes before the first page boundary.
	gap := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) % size)
	if n := (len(b) - gap) &^ (size - 1); n > 0 {
		_ = unix.Madvise(b[gap:gap+n], unix.MADV_HUGEPAGE)
	}
}
