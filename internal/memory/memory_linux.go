package memory

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Free returns the number of bytes that the system can give without swapping. It
// returns zero if the system does not tell.
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

// HugePages asks the system to use pages of 2 MiB for the memory of a slice. Call it
// before the slice is used for the first time. The processor caches the addresses of
// a limited number of pages, so that large buffers are faster with large pages.
func HugePages(b []byte) {
	const size = 2 << 20
	gap := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) % size)
	if n := (len(b) - gap) &^ (size - 1); n > 0 {
		_ = unix.Madvise(b[gap:gap+n], unix.MADV_HUGEPAGE)
	}
}
