package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The kernels of e^x perform the operations of package half's Exp64 in the same
// order.

// Arguments are clamped to these bounds. Beyond them the result rounds to
// infinity or 0 in fp32.
const expLow, expHigh = -708, 709

// The parts of ln 2, as in Exp64.
const (
	ln2High = 6.93147180369123816490e-01
	ln2Low  = 1.90821492927058770002e-10
)

// expSeries returns the coefficients of the Taylor series of e^r, the highest
// power first.
func expSeries() []float64 {
	const degree = 13
	series := make([]float64, degree+1)
	factorial := 1.
	for n := range series {
		factorial *= float64(max(n, 1))
		series[degree-n] = 1 / factorial
	}
	return series
}

// exponentBias is the number with the bits of the exponent bias of float64.
var exponentBias = math.Float64frombits(1023)

// expConstants returns all constants of the kernels.
func expConstants() []float64 {
	return append(expSeries(), expLow, expHigh, math.Log2E, ln2High, ln2Low, exponentBias)
}

// exp emits e^x for as many float64 numbers at a time as a register holds.
func (m *machine) exp(c *doubles) {
	declare("exp"+m.name, "func(x *float32, n int)", "replaces each of n numbers x by e^x. n is a positive multiple of 16.")
	x := Load(Param("x"), GP64())
	n := Load(Param("n"), GP64())
	low, high := m.vec(), m.vec()
	VMOVUPD(c.at(expLow), low)
	VMOVUPD(c.at(expHigh), high)
	Label("loop")
	for i := range 2 * sumLanes / m.lanes {
		at := Mem{Base: x}.Offset(2 * m.lanes * i)
		v := m.vec()
		VCVTPS2PD(at, v)
		VMAXPD(v, low, v) // if one operand is NaN, the result is v
		VMINPD(v, high, v)
		m.narrow(m.powers(c, v), at)
	}
	ADDQ(U8(4*sumLanes), x)
	SUBQ(U8(sumLanes), n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// powers emits e^r for the float64 numbers in a register.
func (m *machine) powers(c *doubles, r VecVirtual) VecVirtual {
	k, p := m.vec(), m.vec()
	VMULPD(c.at(math.Log2E), r, k)
	if m.wide {
		VRNDSCALEPD(U8(0), k, k)
	} else {
		VROUNDPD(U8(0), k, k)
	}
	for _, part := range []float64{ln2High, ln2Low} {
		product := m.vec()
		VMULPD(c.at(part), k, product)
		VSUBPD(product, r, r)
	}
	series := expSeries()
	VMOVUPD(c.at(series[0]), p)
	for _, coefficient := range series[1:] {
		VMULPD(r, p, p)
		VADDPD(c.at(coefficient), p, p)
	}
	scale := m.vec()
	if m.wide {
		VCVTPD2QQ(k, scale)
	} else {
		short := XMM()
		VCVTPD2DQY(k, short)
		VPMOVSXDQ(short, scale)
	}
	VPADDQ(c.at(exponentBias), scale, scale)
	VPSLLQ(U8(52), scale, scale)
	VMULPD(scale, p, p)
	return p
}

// narrow emits rounding float64 numbers to fp32 and their store.
func (m *machine) narrow(v VecVirtual, at Mem) {
	if m.wide {
		out := YMM()
		VCVTPD2PS(v, out)
		VMOVUPS(out, at)
		return
	}
	out := XMM()
	VCVTPD2PSY(v, out)
	VMOVUPS(out, at)
}

// doubles holds constants in memory. Each is repeated to fill a register.
type doubles struct {
	data Mem
	at64 map[float64]int
}

// newDoubles emits constants.
func newDoubles(values []float64) *doubles {
	d := &doubles{GLOBL("doubles", RODATA|NOPTR), make(map[float64]int)}
	for _, v := range values {
		if _, ok := d.at64[v]; ok {
			continue
		}
		d.at64[v] = 64 * len(d.at64)
		for i := range 8 {
			DATA(d.at64[v]+8*i, U64(math.Float64bits(v)))
		}
	}
	return d
}

func (d *doubles) at(v float64) Mem { return d.data.Offset(d.at64[v]) }
