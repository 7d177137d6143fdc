package half

import (
	"crypto/sha256"
	"encoding/hex"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/fixture"
)

// TestAllPairs adds all 2^32 pairs of 16-bit numbers with every kernel of the
// machine, and compares the digests with those of numpy and ml_dtypes.
func TestAllPairs(t *testing.T) {
	if testing.Short() {
		t.Skip("2^32 pairs take several seconds per kernel")
	}
	var golden struct{ Blocks map[string][]string }
	fixture.JSON(t, &golden, "fixtures", "arith", "exhaustive.json")
	for name, c := range map[string][3]dtype.Type{
		"add.f16_bf16.bf16": {dtype.F16, dtype.BF16, dtype.BF16}, "add.f16_f16.f16": {dtype.F16, dtype.F16, dtype.F16}, "add.bf16_bf16.bf16": {dtype.BF16, dtype.BF16, dtype.BF16},
	} {
		digests := golden.Blocks[name]
		require.Len(t, digests, 256, name)
		t.Run(name, func(t *testing.T) {
			forEachKernel(t, func(t *testing.T) { allPairs(t, c, digests) })
		})
	}
}

// allPairs processes the blocks, each of 256 first operands, on all cores.
func allPairs(t *testing.T, c [3]dtype.Type, digests []string) {
	var group sync.WaitGroup
	blocks := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			a, b, sum := make([]byte, 1<<17), make([]byte, 1<<17), make([]byte, 1<<17)
			for i := range 1 << 16 {
				le.PutUint16(b[2*i:], uint16(i))
			}
			for block := range blocks {
				digest := sha256.New()
				for low := range 256 {
					for i := 0; i < len(a); i += 2 {
						le.PutUint16(a[i:], uint16(block<<8|low))
					}
					Add(sum, c[2], a, c[0], b, c[1])
					digest.Write(sum)
				}
				if got := hex.EncodeToString(digest.Sum(nil)); got != digests[block] {
					t.Errorf("block %d differs from the reference", block)
				}
			}
		})
	}
	for block := range 256 {
		blocks <- block
	}
	close(blocks)
	group.Wait()
}
