package torchfile_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/refusal/refusaltest"
	"github.com/koala-go/sdk/internal/tensor"
	"github.com/koala-go/sdk/internal/torchfile"
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

// requireSums compares the checksum of every storage.
func requireSums(t testing.TB, b []byte, f *torchfile.File) {
	t.Helper()
	for _, s := range f.Storages {
		require.Equal(t, s.CRC32, crc32.ChecksumIEEE(b[s.Offset:][:s.Size]), s.Name)
	}
}

// small returns a file with members and tensors of several kinds.
func small() []byte {
	pickle := proto + noHooks + "(" + text("w") + plainHalf + text("t") + unmarked(view(stored("FloatStorage", "1", 16), 1, dims{5, 3}, dims{1, 5})) +
		text("p") + rebuildP + unmarked(half(3, nil, nil)) + "\x88" + noHooks + "\x87R" + text("step") + num(7) +
		text("m") + "}" + text("x") + unmarked(half(0, dims{2, 3}, dims{6, 2})) + "s" + "u}" + text("_metadata") + noHooks + "sb."
	return build(model(pickle)...).b
}

// unchecked returns a file without checksums.
func unchecked() []byte {
	items := model(dictOf("w", plainHalf))
	for i := range items {
		items[i].crc0 = true
	}
	return build(items...).b
}

// good returns pickles that Read must accept.
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
		"other values too":            proto + "}" + text("w") + plainHalf + "s" + leaves + ".",
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
			require.Equal(t, dtype.F16, x.DType)
			require.Equal(t, []int64{3, 4}, x.Shape)
			require.Equal(t, model("")[2].data, string(refusaltest.DataOf(t, &x)))
			require.Equal(t, x.Offset, int64(bytes.Index(whole, []byte(model("")[2].data))))
			requireSums(t, whole, f)
		})
	}
}

// wrongSums reports whether the checksum of a storage is wrong.
func wrongSums(b []byte, f *torchfile.File) bool {
	for _, s := range f.Storages {
		if s.CRC32 != crc32.ChecksumIEEE(b[s.Offset:][:s.Size]) {
			return true
		}
	}
	return false
}

// requireSame compares the results of Read.
func requireSame(t testing.TB, want, got *torchfile.File) {
	t.Helper()
	require.Equal(t, want.Storages, got.Storages)
	require.Equal(t, want.Unchecked, got.Unchecked)
	require.Len(t, got.Tensors, len(want.Tensors))
	for i, x := range want.Tensors {
		y := got.Tensors[i]
		require.Equal(t, []any{x.Name, x.DType, x.Shape, x.Offset, x.Transposed == nil}, []any{y.Name, y.DType, y.Shape, y.Offset, y.Transposed == nil})
		require.Equal(t, refusaltest.DataOf(t, &x), refusaltest.DataOf(t, &y))
	}
}

// TestGoodZips reads archives of the same members in the forms that torch
// and other programs write.
func TestGoodZips(t *testing.T) {
	pickle := dictOf("w", plainHalf)
	each := func(f func(m *item)) []byte {
		items := model(pickle)
		for i := range items {
			f(&items[i])
		}
		return build(items...).b
	}
	short := func() []byte { // an archive without the zip64 records
		z := build(model(pickle)...)
		return append(z.b[:z.end64:z.end64], z.b[z.end:]...)
	}
	asked := func() []byte { // an archive whose end record refers to the zip64 record
		z := build(model(pickle)...)
		copy(z.b[z.end+8:], bytes.Repeat([]byte{0xff}, 12))
		return z.b
	}
	without := func(name string) []byte {
		var items []item
		for _, m := range model(pickle) {
			if m.name != name {
				items = append(items, m)
			}
		}
		return build(items...).b
	}
	reversed := model(pickle)
	slices.Reverse(reversed)
	for name, whole := range map[string][]byte{
		"descriptors, sizes of zero, padding, zip64 end": each(func(*item) {}),
		"sizes in the local headers":                     each(func(m *item) { m.plain = true }),
		"long sizes":                                     each(func(m *item) { m.wide, m.plain = true, true }),
		"long sizes and descriptors":                     each(func(m *item) { m.wide = true }),
		"no checksums":                                   each(func(m *item) { m.crc0 = true }),
		"no zip64 end record":                            short(),
		"an end record of all ones":                      asked(),
		"no byteorder, as before torch 2.0":              without("byteorder"),
		"no serialization id, as before torch 2.1":       without(".data/serialization_id"),
		"members in another order":                       build(reversed...).b,
		"members that are not known":                     build(append(model(pickle), item{name: "extra/readme", data: "x"}, item{name: ".format_version", data: "1"})...).b,
		"an empty member":                                build(append(model(pickle), item{name: "data/2"})...).b,
	} {
		t.Run(name, func(t *testing.T) {
			f := mustRead(t, whole)
			require.Len(t, f.Tensors, 1)
			require.Equal(t, model("")[2].data, string(refusaltest.DataOf(t, &f.Tensors[0])))
			require.Equal(t, name == "no checksums", f.Unchecked)
			if !f.Unchecked {
				requireSums(t, whole, f)
			}
			require.True(t, slices.IsSortedFunc(f.Storages, func(a, b torchfile.Storage) int { return int(a.Offset - b.Offset) }))
			require.Equal(t, folder+"data/0", f.Storages[slices.IndexFunc(f.Storages, func(s torchfile.Storage) bool { return s.Size == 24 })].Name)
		})
	}
}

// TestNames checks the names of tensors in nested dictionaries, and which
// values are left out.
func TestNames(t *testing.T) {
	one := func(i int64) string { return unmarked(half(i, dims{1}, dims{1})) }
	pickle := proto + "}(" + text("model") + "}(" + text("a.b") + one(0) + text("") + one(1) + "u" + text("optimizer") +
		"}(" + text("state") + "}(" + num(0) + "}" + text("exp_avg") + one(2) + "s" + num(-1) + one(3) + "u" + text("param_groups") + "]" + one(4) + "a" + "u" +
		text("z") + one(5) + text("pair") + one(6) + one(7) + "\x86" + "u."
	var names []string
	for _, x := range mustRead(t, withPickle(pickle)).Tensors {
		names = append(names, x.Name)
	}
	require.Equal(t, []string{"model.a.b", "model.", "optimizer.state.0.exp_avg", "optimizer.state.-1", "z"}, names)
}

// TestManyTensors reads ten thousand tensors, with a storage each and as
// views of a single storage.
func TestManyTensors(t *testing.T) {
	var own []tensor.Tensor
	var views strings.Builder
	views.WriteString("\x80\x04}(")
	for i := range 10_000 {
		if i%1000 == 999 {
			views.WriteString("u(")
		}
		own = append(own, tensor.Tensor{Name: fmt.Sprint("model.layers.", i), DType: "F16", Shape: dims{1, 1}})
		views.WriteString(text(fmt.Sprint("layer.", i)) + unmarked(view(stored("HalfStorage", "2", 160_000), int64(i*16), dims{4, 4}, dims{4, 1})))
	}
	for name, whole := range map[string][]byte{
		"own":   write(t, "archive", own),
		"views": build(append(model(views.String()+"u."), member("data/2", make([]byte, 320_000)))...).b,
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, refusaltest.Lawful(t, len(whole), func() error { return read(whole) }))
			require.Len(t, mustRead(t, whole).Tensors, 10_000)
		})
	}
}

func BenchmarkRead(b *testing.B) {
	var tensors []tensor.Tensor
	for i := range 10_000 {
		tensors = append(tensors, tensor.Tensor{Name: fmt.Sprint("model.layers.", i, ".self_attn.q_proj.weight"), DType: "F16", Shape: dims{8, 8}})
	}
	path := filepath.Join(b.TempDir(), "many.pt")
	require.NoError(b, os.WriteFile(path, write(b, "many", tensors), 0o600))
	f, err := os.Open(path)
	require.NoError(b, err)
	defer f.Close()
	info, err := f.Stat()
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		got, err := torchfile.Read(f, info.Size())
		require.NoError(b, err)
		require.Len(b, got.Tensors, len(tensors))
	}
}

// TestTorchsFiles reads files that torch 2.15 wrote: the numbers 0 to 11 as fp16,
// whole and as views, and a module.
func TestTorchsFiles(t *testing.T) {
	halves := func(values ...float32) (b []byte) {
		for _, v := range values { // the encoding of small integers as fp16
			bits := math.Float32bits(v)
			if v != 0 {
				bits = (bits>>23-112)<<10 | bits>>13&0x3ff
			}
			b = binary.LittleEndian.AppendUint16(b, uint16(bits))
		}
		return b
	}
	floats := func(values ...float32) (b []byte) {
		for _, v := range values {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
		return b
	}
	want := []struct {
		name  string
		dtype dtype.Type
		shape []int64
		data  []byte
	}{
		{"whole", "F16", dims{12}, halves(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)},
		{"turned", "F16", dims{3, 4}, halves(0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11)},
		{"second", "F16", dims{6}, halves(0, 2, 4, 6, 8, 10)},
		{"empty", "F16", dims{0}, []byte{}},
		{"scalar", "F16", dims{}, halves(5)},
		{"inner.weight", "F32", dims{1, 2}, floats(1, 2)},
		{"inner.bias", "F32", dims{1}, floats(3)},
		{"parameter", "F32", dims{1}, floats(3)},
	}
	for _, name := range []string{"torch-2.15.pt", "torch-2.15-protocol5.pt", "torch-2.15-unchecked.pt"} {
		t.Run(name, func(t *testing.T) {
			whole, err := os.ReadFile(filepath.Join("testdata", name))
			require.NoError(t, err)
			f := mustRead(t, whole)
			require.Equal(t, name == "torch-2.15-unchecked.pt", f.Unchecked)
			if !f.Unchecked {
				requireSums(t, whole, f)
			}
			require.Len(t, f.Tensors, len(want))
			for i, x := range f.Tensors {
				require.Equal(t, want[i].name, x.Name)
				require.Equal(t, want[i].dtype, x.DType)
				require.Equal(t, want[i].shape, x.Shape)
				require.Equal(t, want[i].data, refusaltest.DataOf(t, &x), x.Name)
				require.Equal(t, x.Name == "turned", x.Transposed != nil)
			}
			require.Len(t, f.Storages, 3)
			for n := range whole {
				refusaltest.Refused(t, read(whole[:n]), io.ErrUnexpectedEOF)
			}
		})
	}
}

// TestTorchsLargeFile reads a file that torch 2.15 wrote: 2^31+16 zeros as fp16,
// which the test data leaves out, and five ones. One member is larger than 4
// GiB, and other members follow it.
func TestTorchsLargeFile(t *testing.T) {
	head, err := os.ReadFile("testdata/torch-2.15-large.head")
	require.NoError(t, err)
	tail, err := os.ReadFile("testdata/torch-2.15-large.tail")
	require.NoError(t, err)
	const zeros = int64(2 * (1<<31 + 16))
	size := int64(len(head)) + zeros + int64(len(tail))
	file := func(tail []byte) sparse {
		return sparse{{Bytes: head}, {Offset: int64(len(head)) + zeros, Bytes: tail}}
	}
	f, err := torchfile.Read(file(tail), size)
	require.NoError(t, err)
	require.Equal(t, []torchfile.Storage{
		{Name: "big/data/0", Offset: int64(len(head)), Size: zeros, CRC32: 0x7a7c3a8d},
		{Name: "big/data/1", Offset: 4294968192, Size: 20, CRC32: 0x5a1dba5d},
	}, f.Storages)
	require.Equal(t, []int64{1<<31 + 16}, f.Tensors[0].Shape)
	require.Equal(t, bytes.Repeat([]byte{0, 0, 0x80, 0x3f}, 5), refusaltest.DataOf(t, &f.Tensors[1]))

	// No bit of a 64-bit value may change unnoticed.
	for _, number := range []string{"\x01\x00\x08\x00\x38\x03\x00\x00\x01\x00\x00\x00", "\x01\x00\x10\x00\x20\x00\x00\x00\x01\x00\x00\x00\x20\x00\x00\x00\x01\x00\x00\x00"} {
		require.True(t, bytes.Contains(tail, []byte(number)))
		for at := 0; ; at++ {
			next := bytes.Index(tail[at:], []byte(number))
			if next < 0 {
				break
			}
			at += next
			for i := range 8 * len(number) {
				b := bytes.Clone(tail)
				b[at+i/8] ^= 1 << (i % 8)
				_, err := torchfile.Read(file(b), size)
				require.Error(t, err, "bit %d of the number at %d", i, at)
			}
		}
	}
}
