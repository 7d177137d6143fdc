package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The powers of e are those of package half's Exp64: the same operations in the
// same order.

// Arguments are cut off at these bounds: beyond them the result is infinite or 0
// when it is rounded to fp32.
const expLow, expHigh = -708, 709

// The parts of ln 2 are those of Exp64.
const (
	ln2High = 6.93147180369123816490e-01
	ln2Low  = 1.90821492927058770002e-10
)

// expSeries are the coefficients of the Taylor series of e^r, the last first.
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

// exponentBias is that of float64, as the bits of a number.
var exponentBias = math.Float64frombits(1023)

// expConstants are all constants of the kernels.
func expConstants() []float64 {
	return append(expSeries(), expLow, expHigh, math.Log2E, ln2High, ln2Low, exponentBias)
}

// exp emits e^x, for as many numbers at a time as a register has in float64.
func (m *machine) exp(c *doubles) {
	TEXT("exp"+m.name, NOSPLIT, "func(x *float32, n int)")
	Pragma("noescape")
	Doc("exp" + m.name + " replaces n numbers by e to their power. n is a positive multiple of 16.")
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
		VMAXPD(v, low, v) // of a bound and a NaN, the NaN
		VMINPD(v, high, v)
		m.narrow(m.powers(c, v), at)
	}
	ADDQ(U8(4*sumLanes), x)
	SUBQ(U8(sumLanes), n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// powers are e to the powers in a register of float64.
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

// narrow rounds a register of float64 and writes it.
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

// doubles are constants in memory, each as often as a register holds it.
type doubles struct {
	data Mem
	at64 map[float64]int
}

// newDoubles emits them.
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
