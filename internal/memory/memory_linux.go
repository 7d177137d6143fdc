package memory

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Free is what the system says it can give without swapping, in bytes; 0 where
// it does not tell.
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

// HugePages asks for a slice's memory, before it is used for the first time, in
// pages of 2 MiB: the processor remembers where pages are, but few of them, so
// that what is read on and on is read faster.
func HugePages(b []byte) {
	const size = 2 << 20
	gap := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) % size)
	if n := (len(b) - gap) &^ (size - 1); n > 0 {
		_ = unix.Madvise(b[gap:gap+n], unix.MADV_HUGEPAGE)
	}
}
