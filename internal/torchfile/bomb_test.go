package torchfile_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/refusal/refusaltest"
)

// bombs returns pickles that build large structures from few bytes. Read must
// refuse or read each of them in little memory and time.
func bombs() map[string]string {
	long := strings.Repeat("k", 60_000)
	tensors := proto + "}" + text("w") + unmarked(half(0, dims{1}, dims{1})) + "q\x00s"
	aliased := tensors + "("
	for i := range 1_000 {
		aliased += num(int64(i)) + "h\x00"
	}
	aliased += "u"
	return map[string]string{
		"memo chunks":           memoChunks(2_000),
		"memo of Nones":         "\x80\x04" + strings.Repeat("N\x94\x85", 8_000) + ".",
		"tuples of tuples":      proto + "N" + strings.Repeat("\x85", 100_000) + ".",
		"tuples of pairs":       "\x80\x04N\x94" + strings.Repeat("h\x00\x86\x94", 8_000) + ".",
		"wide tuples":           "\x80\x04]" + strings.Repeat("("+strings.Repeat("N", 5_000)+"ta", 20) + ".",
		"dictionaries":          proto + "]" + strings.Repeat("}a", 50_000) + ".",
		"dictionaries of one":   proto + "]" + strings.Repeat("}NNsa", 20_000) + ".",
		"dictionaries of one 1": proto + "]" + strings.Repeat("}K\x01Nsa", 20_000) + ".",
		"a long key again":      proto + text(long) + "q\x00" + "\x85]" + strings.Repeat("}h\x00Nsa", 10_000) + ".",
		"long keys in names":    longNames(long, 2_000),
		"a billion laughs":      laughs(12, 9),
		"aliased tensors":       aliased + ".",
		"numbers":               proto + "]" + strings.Repeat("M\xff\xffa", 50_000) + ".",
		"storages":              proto + "]" + strings.Repeat(stored("HalfStorage", "0", 12)+"a", 2_000) + ".",
		"marks and tuples":      proto + "]" + strings.Repeat("((((tttta", 10_000) + ".",
		"globals":               proto + "]" + strings.Repeat("ctorch\nHalfStorage\na", 10_000) + ".",
		"ordered":               proto + glob("collections.OrderedDict") + "q\x00" + strings.Repeat(")Rh\x00", 4_000) + ".",
		"marks over a mark":     proto + strings.Repeat("(", 8_000) + strings.Repeat("t", 8_000) + ".",
		"an unfinished line":    proto + strings.Repeat("c", 100_000) + ".",
		"a broad dictionary":    broad(30_000, "N"),
		"frames":                "\x80\x04" + strings.Repeat("\x95\x00\x00\x00\x00\x00\x00\x00\x00", 20_000) + "}.",
	}
}

// memoChunks returns a pickle that stores n values at memo indexes as far apart
// as allowed.
func memoChunks(n int) string {
	s := proto
	for i := range n {
		s += "Nr" + string(binary.LittleEndian.AppendUint32(nil, uint32(i*5)))
	}
	return s
}

// longNames returns a pickle of a dictionary with n tensors below a long key.
func longNames(key string, n int) string {
	s := proto + "}" + text(key) + "}" + text("w") + unmarked(half(0, dims{1}, dims{1})) + "q\x00s("
	for i := range n {
		s += num(int64(i)) + "h\x00"
	}
	return s + "us."
}

// laughs returns a pickle of nested dictionaries. Each holds the previous one
// under many keys.
func laughs(depth, width int) string {
	s := proto + "}(" + text("l0") + "}q\x00" + text("w") + plainHalf + "s"
	for i := range depth {
		s += text(fmt.Sprint("l", i+1)) + "}q" + string([]byte{byte(i + 1)}) + "("
		for k := range width {
			s += num(int64(k)) + "h" + string([]byte{byte(i)})
		}
		s += "u"
	}
	return s + "u."
}

// broad returns a pickle of a dictionary that maps n numbers to one value, in
// batches.
func broad(n int, value string) string {
	s := proto + "}"
	for i := 0; i < n; i += 1000 {
		s += "("
		for k := i; k < i+1000; k++ {
			s += "M" + string(binary.LittleEndian.AppendUint16(nil, uint16(k))) + value
		}
		s += "u"
	}
	return s + "."
}

func TestBombs(t *testing.T) {
	for name, pickle := range bombs() {
		t.Run(name, func(t *testing.T) {
			whole := withPickle(pickle)
			_ = refusaltest.Lawful(t, len(whole), func() error { return read(whole) })
			fastest, n := time.Hour, uint64(0)
			for range 3 { // take the fastest run: other programs use the processor too
				begin := time.Now()
				n = refusaltest.Allocated(func() { _ = read(whole) })
				fastest = min(fastest, time.Since(begin))
			}
			require.Less(t, fastest, 100*time.Millisecond)
			require.LessOrEqual(t, n, uint64(16<<20))
		})
	}
}

// TestLeavesAgainAreRefused reads a dictionary of 30,000 values that are not
// tensors, which occurs 30,000 times in another dictionary. The budget must
// refuse it although the file is long.
func TestLeavesAgainAreRefused(t *testing.T) {
	leaves := broad(30_000, "N")
	pickle := proto + "}" + text("leaves") + leaves[2:len(leaves)-1] + "q\x00s" + broad(30_000, "h\x00")[3:]
	whole := build(append(model(pickle), item{name: "data/2", data: strings.Repeat("x", 1_500_000)})...).b
	err := refusaltest.Lawful(t, len(whole), func() error { return read(whole) })
	refusaltest.Refused(t, err, refusal.ErrMalformed)
	require.ErrorContains(t, err, "far more")
}

// TestLongStorageKey reads 2,000 tensors of a storage whose key has 60 KB.
func TestLongStorageKey(t *testing.T) {
	key := strings.Repeat("k", 60_000)
	pickle := proto + "}(" + text("storage") + stored("HalfStorage", key, 12) + "q\x00"
	for i := range 2_000 {
		pickle += text(fmt.Sprint(i)) + unmarked(view("h\x00", 0, dims{12}, dims{1}))
	}
	whole := build(append(model(pickle+"u."), item{name: "data/" + key, data: strings.Repeat("x", 24)})...).b
	require.NoError(t, refusaltest.Lawful(t, len(whole), func() error { return read(whole) }))
	require.Len(t, mustRead(t, whole).Tensors, 2_000)
}

// TestLaughsAreRefused reads a tensor that can be reached on 9^12 paths. The
// budget must refuse it.
func TestLaughsAreRefused(t *testing.T) {
	err := read(withPickle(laughs(12, 9)))
	refusaltest.Refused(t, err, refusal.ErrMalformed)
	require.ErrorContains(t, err, "far more")

	f := mustRead(t, withPickle(dictOf("model", "}q\x00"+text("w")+plainHalf+"s", "ema", "h\x00")))
	require.Len(t, f.Tensors, 2, "a dictionary may occur twice")
}
