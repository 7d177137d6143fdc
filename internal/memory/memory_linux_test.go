package memory

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFree(t *testing.T) {
	free := Free()
	require.Greater(t, free, int64(10<<20))
	require.Less(t, free, int64(1<<50))
}

// TestHugePages checks that HugePages leaves a slice's contents alone, whatever
// its length, and that the kernel records the advice for a large slice.
func TestHugePages(t *testing.T) {
	for _, n := range []int{0, 1, 4096, 2<<20 - 1, 2 << 20, 5<<20 + 3} {
		b := bytes.Repeat([]byte{7}, n)
		HugePages(b)
		require.Equal(t, n, bytes.Count(b, []byte{7}))
	}
	b := make([]byte, 64<<20)
	HugePages(b)
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Skip(err)
	}
	if modes, err := os.ReadFile("/sys/kernel/mm/transparent_hugepage/enabled"); err != nil || strings.Contains(string(modes), "[never]") {
		t.Skip("huge pages are disabled in this kernel")
	}
	require.Regexp(t, regexp.MustCompile(`(?m)^VmFlags:.* hg( |$)`), string(maps))
	clear(b)
}
