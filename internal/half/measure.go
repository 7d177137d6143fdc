package half

import (
	"math"

	"github.com/koala-go/sdk/dtype"
)

// Magnitude describes the magnitudes of the elements of an array.
type Magnitude struct {
	Count      int     // the number of elements
	NonFinite  int     // the number of elements that are infinite or NaN, which Max and SumSquares ignore
	Max        float32 // the largest magnitude
	SumSquares float64 // the sum of squares, added in a fixed order so that it is the same on every machine
}

// Measure returns the magnitudes of the elements of src.
func Measure(src []byte, t dtype.Type) Magnitude {
	m := Magnitude{Count: len(src) / size(t)}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	for len(src) >= size(t) {
		n := min(tileLen, len(src)/size(t))
		Convert(s.x[:4*n], dtype.F32, src[:n*size(t)], t)
		m.addTile(s.x[:4*n])
		src = src[n*size(t):]
	}
	return m
}

func (m *Magnitude) addTile(x []byte) {
	sum := 0.0
	for ; len(x) >= 4; x = x[4:] {
		bits := le.Uint32(x) & abs32
		if bits >= inf32 {
			m.NonFinite++
			continue
		}
		f := math.Float32frombits(bits)
		m.Max = max(m.Max, f)
		square := float64(f) * float64(f)
		sum += float64(square) // the conversion keeps arm64 from fusing the two
	}
	m.SumSquares += sum
}
