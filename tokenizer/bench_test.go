package tokenizer

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// corpora returns prose and code, in lines, from the sources of the Go
// installation. The module bench compares with other tokenizers on any files.
func corpora(b *testing.B) map[string][]string {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	require.NoError(b, err)
	root := strings.TrimSpace(string(out))
	prose, err := os.ReadFile(filepath.Join(root, "src/testdata/Isaac.Newton-Opticks.txt"))
	if err != nil {
		b.Skip("needs Go's sources: ", err)
	}
	var code strings.Builder
	files, err := filepath.Glob(filepath.Join(root, "src/net/http/*.go"))
	require.NoError(b, err)
	for _, f := range files {
		text, err := os.ReadFile(f)
		require.NoError(b, err)
		code.Write(text)
	}
	return map[string][]string{"prose": strings.Split(string(prose), "\n"), "code": strings.Split(code.String(), "\n")}
}

func size(texts []string) (n int64) {
	for _, text := range texts {
		n += int64(len(text))
	}
	return n
}

func BenchmarkEncodeLines(b *testing.B) {
	for name, texts := range corpora(b) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(size(texts))
			dst := make([]Token, 0, 1<<16)
			for b.Loop() {
				for _, text := range texts {
					dst = Default().AppendEncode(dst[:0], text, nil)
				}
			}
		})
	}
}

func BenchmarkEncodeBatch(b *testing.B) {
	for name, texts := range corpora(b) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(size(texts))
			for b.Loop() {
				Default().EncodeBatch(texts, nil, 0)
			}
		})
	}
}

// BenchmarkWorst encodes texts that are hard for one stage or another, of 1 MB
// and of 2 MB. The time must grow linearly with the length.
func BenchmarkWorst(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	random := func(f func() string) func(n int) string {
		return func(n int) string {
			var text strings.Builder
			for text.Len() < n {
				text.WriteString(f())
			}
			return text.String()
		}
	}
	repeat := func(unit string) func(n int) string {
		return func(n int) string { return strings.Repeat(unit, n/len(unit)) }
	}
	for _, c := range []struct {
		name string
		make func(n int) string
	}{
		{"a", repeat("a")},
		{"spaces", repeat(" ")},
		{"▁", repeat("▁")},
		{"emoji", repeat("🦙")},
		{"halten", repeat("halten")},
		{"bytes", random(func() string { return string([]byte{byte(r.UintN(256))}) })},
		{"cjk", random(func() string { return string(rune(0x4e00 + r.IntN(0x5200))) })},
		{"letters", random(func() string { return string(rune('a' + r.IntN(26))) })},
		{"ab", random(func() string { return string(rune('a' + r.IntN(2))) })},
		{"ascii", random(func() string { return string(rune('!' + r.IntN(94))) })},
		{"cyrillic", random(func() string { return string(rune('а' + r.IntN(32))) })},
	} {
		for _, n := range []int{1, 2} {
			b.Run(c.name+"/"+string(rune('0'+n))+"MB", func(b *testing.B) {
				text := c.make(n * 1e6)
				dst := make([]Token, 0, 4e6)
				b.SetBytes(int64(len(text)))
				for b.Loop() {
					dst = Default().AppendEncode(dst[:0], text, nil)
				}
			})
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for name, texts := range corpora(b) {
		b.Run(name, func(b *testing.B) {
			rows := Default().EncodeBatch(texts, nil, 0)
			n := 0
			for _, ids := range rows {
				n += len(ids)
			}
			dst := make([]byte, 0, 1<<16)
			for b.Loop() {
				for _, ids := range rows {
					dst, _ = Default().AppendDecode(dst[:0], ids)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mtok/s")
		})
	}
}

// BenchmarkLoad makes the default tokenizer, and reports the memory that it
// holds with its cache and tables.
func BenchmarkLoad(b *testing.B) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var tok *Tokenizer
	for b.Loop() {
		tok, _ = newTokenizer(llamaVocabulary())
	}
	tok.grow(tok.cache())
	tok.surface()
	tok.ID("a")
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MiB")
	runtime.KeepAlive(tok)
}
