package half

import "github.com/koala-go/sdk/dtype"

// codecs converts between F32 and the types that store elements in blocks. A
// type that can hold weights has a row here, or is a float type of Convert.
var codecs = map[dtype.Type]struct{ decode, encode func(dst, src []byte) }{
	dtype.Q8_0: {Dequantize8, Quantize8},
}

// Decode writes elements of any type that can hold weights to dst as F32, which
// is exact. src is a whole number of the type's blocks.
func Decode(dst, src []byte, from dtype.Type) {
	if from.IsFloat() {
		Convert(dst, dtype.F32, src, from)
		return
	}
	codecs[from].decode(dst, src)
}

// Encode writes floats of type from to dst as elements of any type that can
// hold weights, rounded as by Convert or by the rule of the type's blocks. A
// type of blocks is encoded from F32, and from a whole number of its blocks.
func Encode(dst []byte, to dtype.Type, src []byte, from dtype.Type) {
	if to.IsFloat() {
		Convert(dst, to, src, from)
		return
	}
	codecs[to].encode(dst, src)
}
