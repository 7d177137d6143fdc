package torchfile_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/refusal/refusaltest"
	"github.com/koala-go/sdk/internal/tensor"
	"github.com/koala-go/sdk/internal/torchfile"
)

// TestEveryPrefixIsRefused checks that each prefix of an archive is refused as
// truncated.
func TestEveryPrefixIsRefused(t *testing.T) {
	written := write(t, "archive", []tensor.Tensor{{Name: "a", DType: "F16", Shape: dims{3}}, {Name: "b", DType: "F32"}})
	for _, whole := range [][]byte{small(), unchecked(), written} {
		require.NoError(t, read(whole))
		for n := range whole {
			e := refusaltest.Refused(t, read(whole[:n]), io.ErrUnexpectedEOF)
			require.EqualValues(t, n, e.Offset)
		}
	}
}

func TestEveryTrailingByteIsRefused(t *testing.T) {
	whole := small()
	for c := range 256 {
		refusaltest.Refused(t, read(append(whole[:len(whole):len(whole)], byte(c))), refusal.ErrMalformed)
	}
}

// TestFileShrinks reads files that are shorter than the size given, such as a
// file that is truncated while it is read.
func TestFileShrinks(t *testing.T) {
	whole := small()
	for n := range whole {
		_, err := torchfile.Read(bytes.NewReader(whole[:n]), int64(len(whole)))
		refusaltest.Refused(t, err, io.ErrUnexpectedEOF)
	}
}

// harmless returns the bytes of an archive that do not affect its contents: the
// writer, times, the required version of the format, the attributes of members,
// and the contents of the padding. Each offset has the reason.
func harmless(z *zipped) map[int]string {
	free := map[int]string{}
	mark := func(why string, from, n int) {
		for i := range n {
			free[from+i] = why
		}
	}
	for name, h := range z.local {
		mark("version needed", h+4, 2)
		mark("time and date", h+10, 4)
		padding := h + 30 + len(folder+name)
		mark("id of the padding", padding, 2)
		mark("padding", padding+4, z.data[name]-padding-4)
	}
	for _, e := range z.dir {
		mark("version made by and needed", e+4, 4)
		mark("time and date", e+12, 4)
		mark("attributes", e+36, 6)
	}
	mark("version made by and needed", z.end64+12, 4)
	return free
}

// TestEveryFlip flips each bit of a small file. Each flip must cause an error
// or a wrong checksum of a storage, unless it is harmless, in which case
// nothing must change.
func TestEveryFlip(t *testing.T) {
	pickle := dictOf("w", plainHalf, "t", unmarked(view(stored("FloatStorage", "1", 16), 1, dims{5, 3}, dims{1, 5})))
	z := build(model(pickle)...)
	free, want := harmless(z), mustRead(t, z.b)
	for i := range z.b {
		for bit := range 8 {
			b := bytes.Clone(z.b)
			b[i] ^= 1 << bit
			f, err := torchfile.Read(bytes.NewReader(b), int64(len(b)))
			if err != nil {
				refusaltest.Kind(t, err)
				continue
			}
			wrong := wrongSums(b, f)
			require.True(t, wrong != (free[i] != ""), "byte %d, bit %d: %q", i, bit, free[i])
			if !wrong {
				requireSame(t, want, f)
			}
		}
	}
}

// TestEveryFlipUnchecked flips each bit of a file without checksums, in which
// only the elements and the pickle may change.
func TestEveryFlipUnchecked(t *testing.T) {
	whole := unchecked()
	require.True(t, mustRead(t, whole).Unchecked)
	flips := 0
	for i := range whole {
		for bit := range 8 {
			b := bytes.Clone(whole)
			b[i] ^= 1 << bit
			f, err := torchfile.Read(bytes.NewReader(b), int64(len(b)))
			if err != nil {
				refusaltest.Kind(t, err)
				continue
			}
			require.True(t, f.Unchecked, "byte %d", i)
			flips++
		}
	}
	require.Positive(t, flips)
}

func TestUncheckedFlipOfASum(t *testing.T) {
	whole := unchecked()
	at := bytes.LastIndex(whole, []byte(folder+"data/0")) - 46 + 16
	binary.LittleEndian.PutUint32(whole[at:], 1)
	refusaltest.Refused(t, read(whole), refusal.ErrMalformed)
}
