package torchfile_test

import (
	"bytes"
	"hash/crc32"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/torchfile"
	"github.com/koala-go/sdk/internal/wire"
)

func read(b []byte) error {
	_, err := torchfile.Read(bytes.NewReader(b), int64(len(b)))
	return err
}

func mustRead(t testing.TB, b []byte) *torchfile.File {
	t.Helper()
	f, err := torchfile.Read(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	return f
}

func dataOf(t testing.TB, x *wire.Tensor) []byte {
	t.Helper()
	b := make([]byte, x.Bytes())
	require.NoError(t, wire.ReadFull(x.Data, b, 0))
	return b
}

// requireSums compares the checksum of every storage.
func requireSums(t testing.TB, b []byte, f *torchfile.File) {
	t.Helper()
	for _, s := range f.Storages {
		require.Equal(t, s.CRC32, crc32.ChecksumIEEE(b[s.Offset:][:s.Size]), s.Name)
	}
}

// small is a file with a bit of everything.
func small() []byte {
	pickle := proto + noHooks + "(" + text("w") + plainHalf + text("t") + unmarked(view(stored("FloatStorage", "1", 16), 1, dims{5, 3}, dims{1, 5})) +
		text("p") + rebuildP + unmarked(half(3, nil, nil)) + "\x88" + noHooks + "\x87R" + text("step") + num(7) +
		text("m") + "}" + text("x") + unmarked(half(0, dims{2, 3}, dims{6, 2})) + "s" + "u}" + text("_metadata") + noHooks + "sb."
	return build(model(pickle)...).b
}

// unchecked is a file without checksums.
func unchecked() []byte {
	items := model(dictOf("w", plainHalf))
	for i := range items {
		items[i].crc0 = true
	}
	return build(items...).b
}

// good are pickles that must be read.
func good() map[string]string {
	short := func(s string) string { return "\x8c" + string([]byte{byte(len(s))}) + s }
	stack := func(module, name string) string { return short(module) + "\x94" + short(name) + "\x94\x93\x94" }
	hooks := stack("collections", "OrderedDict") + ")R\x94"
	framed := "}\x94(" + short("w") + "\x94" + stack("torch._utils", "_rebuild_tensor_v2") + "((" + short("storage") + "\x94" + stack("torch", "HalfStorage") +
		short("0") + "\x94" + short("cpu") + "\x94K\x0ct\x94QK\x00K\x03K\x04\x86\x94K\x04K\x01\x86\x94\x89" + hooks + "t\x94R\x94u."
	frame := "\x95" + string([]byte{byte(len(framed)), 0, 0, 0, 0, 0, 0, 0})
	leaves := "(" + text("none") + "N" + text("yes") + "\x88" + text("float") + "G\x3f\xf0\x00\x00\x00\x00\x00\x00" + text("long") + "\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
		text("long4") + "\x8b\x01\x00\x00\x00\xff" + text("bytes") + "C\x02ab" + text("list") + "](K\x01" + text("a") + "e" + text("tuple") + ")" +
		text("tensors") + "]" + unmarked(half(0, dims{2}, dims{1})) + "a" + text("class") + glob("torch.HalfStorage") + text("storage") + stored("HalfStorage", "0", 12) + "u"
	return map[string]string{
		"protocol 2":                  dictOf("w", plainHalf),
		"protocol 3":                  "\x80\x03" + dictOf("w", plainHalf)[2:],
		"protocol 4 with frames":      "\x80\x04" + frame + framed,
		"protocol 5 without frames":   "\x80\x05" + framed,
		"an OrderedDict":              proto + noHooks + text("w") + plainHalf + "s.",
		"_metadata by BUILD":          proto + noHooks + text("w") + plainHalf + "s}" + text("_metadata") + noHooks + text("") + "}" + text("version") + num(1) + "sssb.",
		"_metadata twice":             proto + noHooks + text("w") + plainHalf + "s}" + text("_metadata") + noHooks + "sb}b.",
		"a Parameter":                 dictOf("w", rebuildP+plainHalf+"\x88"+noHooks+"\x87R"),
		"other values beside":         proto + "}" + text("w") + plainHalf + "s" + leaves + ".",
		"a number over the record":    dictOf("w", plainHalf, "x", unmarked(view(stored("FloatStorage", "1", 15), 0, dims{15}, dims{1}))),
		"an empty tensor at the end":  dictOf("w", plainHalf, "x", unmarked(half(12, dims{0, 4}, dims{4, 1}))),
		"a stride of one row":         dictOf("w", plainHalf, "x", unmarked(half(0, dims{1, 12}, dims{1 << 62, 1}))),
		"broadcast within its length": dictOf("w", plainHalf, "x", unmarked(half(0, dims{3, 4}, dims{0, 1}))),
		"the memo by long numbers":    proto + "}" + text("w") + "r\x00\x00\x00\x00" + plainHalf + "s" + text("x") + "j\x00\x00\x00\x00s.",
		"empty batches":               proto + "}(u(" + text("w") + plainHalf + "u(u.",
	}
}

func TestGood(t *testing.T) {
	for name, pickle := range good() {
		t.Run(name, func(t *testing.T) {
			whole := withPickle(pickle)
			f := mustRead(t, whole)
			require.NotEmpty(t, f.Tensors)
			x := f.Tensors[0]
			require.Equal(t, "w", x.Name)
			require.Equal(t, "F16", x.DType)
			require.Equal(t, []int64{3, 4}, x.Shape)
			require.Equal(t, model("")[2].data, string(dataOf(t, &x)))
			require.Equal(t, x.Offset, int64(bytes.Index(whole, []byte(model("")[2].data))))
			requireSums(t, whole, f)
		})
	}
}

// wrongSums is whether a storage's bytes do not have its checksum.
func wrongSums(b []byte, f *torchfile.File) bool {
	for _, s := range f.Storages {
		if s.CRC32 != crc32.ChecksumIEEE(b[s.Offset:][:s.Size]) {
			return true
		}
	}
	return false
}

// requireSame compares all that Read gives.
func requireSame(t testing.TB, want, got *torchfile.File) {
	t.Helper()
	require.Equal(t, want.Storages, got.Storages)
	require.Equal(t, want.Unchecked, got.Unchecked)
	require.Len(t, got.Tensors, len(want.Tensors))
	for i, x := range want.Tensors {
		y := got.Tensors[i]
		require.Equal(t, []any{x.Name, x.DType, x.Shape, x.Offset, x.Turned == nil}, []any{y.Name, y.DType, y.Shape, y.Offset, y.Turned == nil})
		require.Equal(t, dataOf(t, &x), dataOf(t, &y))
	}
}
