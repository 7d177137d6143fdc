package safetensors_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/refusal/refusaltest"
	"github.com/koala-go/sdk/internal/safetensors"
)

// dtypes maps every dtype of the format to the size of an element in bits.
var dtypes = map[dtype.Type]int64{
	"BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8,
	"F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
	"C64": 64, "F64": 64, "I64": 64, "U64": 64,
}

// mustRead reads a file and requires that it is valid.
func mustRead(t testing.TB, b []byte) *safetensors.File {
	t.Helper()
	f, err := refusaltest.Read(t, b, safetensors.Read)
	require.NoError(t, err)
	for _, x := range f.Tensors {
		require.Equal(t, b[x.Offset:x.Offset+x.Bytes()], refusaltest.DataOf(t, &x), x.Name)
	}
	return f
}

// summary describes the tensors of a file in the order of their data. Offsets
// count from begin.
func summary(f *safetensors.File, begin int) []string {
	list := []string{}
	for _, x := range f.Tensors {
		list = append(list, fmt.Sprintf("%s %s%v@%d", x.Name, x.DType, x.Shape, x.Offset-int64(begin)))
	}
	return list
}

func TestKnownGood(t *testing.T) {
	a, b, z := entryOf("a", "U8", "[4]", 0, 4), entryOf("b", "F16", "[1,2]", 4, 8), entryOf("z", "F32", "[7,0]", 4, 4)
	for _, test := range []struct {
		name, header string
		data         int
		want         []string
	}{
		{"nothing", "{}", 0, []string{}},
		{"metadata alone", `{"__metadata__":{"format":"pt"}}`, 0, []string{}},
		{"one", "{" + a + "}", 4, []string{"a U8[4]@0"}},
		{"space padding", "{" + a + "}      ", 4, []string{"a U8[4]@0"}},
		{"other white space", "{ " + a + "\t,\r\n" + b + " }\n", 8, []string{"a U8[4]@0", "b F16[1 2]@4"}},
		{"data in another order", "{" + b + "," + a + "}", 8, []string{"a U8[4]@0", "b F16[1 2]@4"}},
		{"zero-sized alone", `{` + entryOf("z", "F32", "[0]", 0, 0) + `}`, 0, []string{"z F32[0]@0"}},
		{"zero-sized between", "{" + b + "," + z + "," + a + "}", 8, []string{"a U8[4]@0", "z F32[7 0]@4", "b F16[1 2]@4"}},
		{"zero-sized at the end", "{" + a + "," + z + "}", 4, []string{"a U8[4]@0", "z F32[7 0]@4"}},
		{"many zero-sized in one place", "{" + zeroSized(3) + "}", 0, []string{"z0 U8[0]@0", "z1 U8[0]@0", "z2 U8[0]@0"}},
		{"zero times the greatest", "{" + entryOf("a", "U8", "[0,9223372036854775807]", 0, 0) + "}", 0, []string{"a U8[0 9223372036854775807]@0"}},
		{"scalar", "{" + entryOf("s", "I64", "[]", 0, 8) + "}", 8, []string{"s I64[]@0"}},
		{"sub-byte", "{" + entryOf("s", "F4", "[3,2]", 0, 3) + "}", 3, []string{"s F4[3 2]@0"}},
		{"empty name", "{" + entryOf("", "U8", "[1]", 0, 1) + "}", 1, []string{" U8[1]@0"}},
		{"names differ in case", "{" + entryOf("A", "U8", "[1]", 0, 1) + "," + entryOf("a", "U8", "[1]", 1, 2) + "}", 2, []string{"A U8[1]@0", "a U8[1]@1"}},
		{"escaped name", "{" + entryOf(`\u0061\/\ud83d\ude00\"`, "U8", "[1]", 0, 1) + "}", 1, []string{"a/😀\" U8[1]@0"}},
		{"escaped fields", `{"a":{"\u0064type":"\u00558","shape":[1],"data_offsets":[0,1]}}`, 1, []string{"a U8[1]@0"}},
		{"fields in another order", `{"a":{"data_offsets":[0,1],"shape":[1],"dtype":"U8"}}`, 1, []string{"a U8[1]@0"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			require.Equal(t, test.want, summary(mustRead(t, file(test.header, test.data)), 8+len(test.header)))
		})
	}
}

func TestUnalignedHeader(t *testing.T) {
	for pad := range 17 {
		header := "{" + entryOf("a", "F64", "[2]", 0, 16) + "}" + strings.Repeat(" ", pad)
		f := mustRead(t, file(header, 16))
		require.EqualValues(t, 8+len(header), f.Tensors[0].Offset)
	}
}

func TestMetadata(t *testing.T) {
	f := mustRead(t, file(`{"__metadata__":{"format":"pt","a\n":"\u00e9","":""}}`, 0))
	require.Equal(t, map[string]string{"format": "pt", "a\n": "é", "": ""}, f.Metadata)
	require.Nil(t, mustRead(t, file(`{}`, 0)).Metadata)
	require.Equal(t, map[string]string{}, mustRead(t, file(`{"__metadata__":{}}`, 0)).Metadata)
}

func TestEveryDType(t *testing.T) {
	for dt, bits := range dtypes {
		n := int(bits) // the bits of one element are the bytes of eight
		f := mustRead(t, file("{"+entryOf("a", string(dt), "[2,4]", 0, n)+"}", n))
		require.Equal(t, dt, f.Tensors[0].DType)
		require.EqualValues(t, n, f.Tensors[0].Bytes())
	}
}

// manyTensors returns a file of n tensors of two elements, named like the
// weights of layers.
func manyTensors(n int) []byte {
	var header strings.Builder
	header.WriteByte('{')
	for i := range n {
		if i > 0 {
			header.WriteByte(',')
		}
		header.WriteString(entryOf(fmt.Sprintf("model.layers.%d.self_attn.q_proj.weight", i), "F16", "[1,2]", 4*i, 4*i+4))
	}
	return file(header.String()+"}", 4*n)
}

func TestTenThousandTensors(t *testing.T) {
	f := mustRead(t, manyTensors(10_000))
	require.Len(t, f.Tensors, 10_000)
	require.Equal(t, "model.layers.9999.self_attn.q_proj.weight", f.Tensors[9999].Name)
}

func BenchmarkReadTenThousand(b *testing.B) {
	whole := manyTensors(10_000)
	b.ReportAllocs()
	b.SetBytes(int64(len(whole)))
	for b.Loop() {
		require.NoError(b, read(whole))
	}
}

// TestAllocation reads the headers that need the most memory: many tensors,
// dimensions or names.
func TestAllocation(t *testing.T) {
	for name, header := range map[string]string{
		"tensors":    "{" + zeroSized(30_000) + "}",
		"dimensions": "{" + entryOf("a", "U8", "["+strings.Repeat("0,", 500_000)+"0]", 0, 0) + "}",
		"bad shape":  "{" + entryOf("a", "U8", "["+strings.Repeat("1,", 500_000)+"0]", 0, 1) + "}",
		"offsets":    `{"a":{"data_offsets":[` + strings.Repeat("0,", 500_000) + "0]}}",
		"escapes":    `{"__metadata__":{"` + strings.Repeat(`\n`, 500_000) + `":""}}`,
		"metadata":   `{"__metadata__":{` + pairs(117_500) + `"":""}}`,
	} {
		b := file(header, 0)
		if err := refusaltest.Lawful(t, len(b), func() error { return read(b) }); err != nil {
			require.Less(t, len(err.Error()), 1000, "%s: the error quotes a long list whole", name)
		}
	}
}

// pairs returns n members with short names.
func pairs(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"%x":"",`, i)
	}
	return b.String()
}
