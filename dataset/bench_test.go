package dataset

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/tokenizer"
)

// BenchmarkPack turns raw records of HH into batches of Gen2024. The bytes are
// those of the raw JSON lines. KOALA_BENCH_HH is the path of a file of such
// lines.
func BenchmarkPack(b *testing.B) {
	path := os.Getenv("KOALA_BENCH_HH")
	if path == "" {
		b.Skip("KOALA_BENCH_HH is not set")
	}
	info, err := os.Stat(path)
	require.NoError(b, err)
	b.SetBytes(info.Size())
	p, err := NewProcessor(tokenizer.Default(), &ProcessorOptions{Generation: Gen2024})
	require.NoError(b, err)
	for b.Loop() {
		records := Read(b.Context(), Files(path), &ReadOptions{Source: HH})
		batches := 0
		for _, err := range Pack(Tokenize(b.Context(), records, p, 0), &PackOptions{SeqLength: 2048, Batch: 8, Generation: Gen2024}) {
			require.NoError(b, err)
			batches++
		}
		b.ReportMetric(float64(batches), "batches")
	}
}
