package main

import (
	"fmt"
	"math"
)

// exp emits e^x, two numbers at a time. V14 and V15 hold the bounds, V16 log2
// e, V17 and V18 the parts of ln 2, V19 to V30 the coefficients down to 1/2,
// V31 the number 1.
func (w *neon) exp() {
	w.begin("expNEON", "x *float32, n int", 16)
	w.line("MOVD x+0(FP), R0")
	w.line("MOVD n+8(FP), R3")
	series := expSeries()
	constants := append([]float64{expLow, expHigh, math.Log2E, ln2High, ln2Low}, series[:len(series)-1]...)
	for i, c := range constants {
		w.line("MOVD $0x%016x, R4", math.Float64bits(c))
		w.line("VDUP R4, V%d.D2", 14+i)
	}
	w.line("MOVD $1023, R4")
	w.line("VDUP R4, V13.D2")
	w.text.WriteString("\nloop:\n")
	w.line("VLD1 (R0), [V0.S4]")
	w.word(0x0e617800, 1, 0, 0, "FCVTL V1.2D, V0.2S")
	w.word(0x4e617800, 2, 0, 0, "FCVTL2 V2.2D, V0.4S")
	w.powers(1)
	w.powers(2)
	w.word(0x0e616800, 0, 1, 0, "FCVTN V0.2S, V1.2D")
	w.word(0x4e616800, 0, 2, 0, "FCVTN2 V0.4S, V2.2D")
	w.line("VST1.P [V0.S4], 16(R0)")
	w.line("SUBS $4, R3, R3")
	w.line("BNE loop")
	w.line("RET")
}

// double emits an instruction on two float64 lanes.
func (w *neon) double(name string, opcode, d, n, m uint32) {
	w.word(opcode, d, n, m, fmt.Sprintf("%s V%d.2D, V%d.2D, V%d.2D", name, d, n, m))
}

// powers emits e^x for the numbers x in V(v). It uses V3 to V5.
func (w *neon) powers(v uint32) {
	const fmul, fadd, fsub, fmax, fmin = 0x6e60dc00, 0x4e60d400, 0x4ee0d400, 0x4e60f400, 0x4ee0f400
	w.double("FMAX", fmax, v, v, 14)
	w.double("FMIN", fmin, v, v, 15)
	w.double("FMUL", fmul, 3, v, 16)
	w.word(0x4e618800, 3, 3, 0, "FRINTN V3.2D, V3.2D")
	for part := range uint32(2) {
		w.double("FMUL", fmul, 4, 3, 17+part)
		w.double("FSUB", fsub, v, v, 4)
	}
	w.double("FMUL", fmul, 4, 19, v)
	w.double("FADD", fadd, 4, 4, 20)
	for c := range uint32(11) { // the last two coefficients are 1
		w.double("FMUL", fmul, 4, 4, v)
		w.double("FADD", fadd, 4, 4, 21+c)
	}
	w.double("FMUL", fmul, 4, 4, v)
	w.double("FADD", fadd, 4, 4, 31)
	w.word(0x4e61a800, 5, 3, 0, "FCVTNS V5.2D, V3.2D")
	w.line("VADD V13.D2, V5.D2, V5.D2")
	w.line("VSHL $52, V5.D2, V5.D2")
	w.double("FMUL", fmul, v, 4, 5)
}
