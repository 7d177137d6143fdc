package torchfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/koala-go/sdk/internal/bounded"
)

// window is the greatest number of bytes read from the file at once.
const window = 64 << 10

// near is the widest gap in bytes that is read rather than skipped: one page.
const near = 4 << 10

// axis is one dimension of a tensor: n elements at a distance of stride
// elements.
type axis struct {
	n, stride int64
	out       int64 // out is the distance in the output, in elements; set while a box is copied
}

// strided reads the elements of a tensor with any strides in row-major order.
type strided struct {
	r    io.ReaderAt
	base int64 // file offset of the first element
	size int64 // size of the tensor in bytes
	item int64 // size of an element in bytes
	axes []axis
}

// merged converts a shape and strides to axes. It drops dimensions of one
// element, and merges adjacent dimensions that are contiguous in the storage.
func merged(shape, strides []int64) []axis {
	axes := make([]axis, 0, len(shape))
	for i, n := range shape {
		if n == 1 {
			continue
		}
		if k := len(axes) - 1; k >= 0 && axes[k].stride == n*strides[i] {
			axes[k] = axis{n: axes[k].n * n, stride: strides[i]}
			continue
		}
		axes = append(axes, axis{n: n, stride: strides[i]})
	}
	return axes
}

// ReadAt implements io.ReaderAt. If neighbours in the tensor are far apart in
// the file, reading many rows at once costs little more than reading one.
func (s *strided) ReadAt(b []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("torchfile: negative offset")
	}
	if off >= s.size {
		return 0, io.EOF
	}
	want := int(min(int64(len(b)), s.size-off))
	g := &gatherer{strided: s}
	for n < want {
		i, skip := (off+int64(n))/s.item, (off+int64(n))%s.item
		if whole := int64(want-n) / s.item; skip == 0 && whole > 0 {
			if err := g.gather(b[n:n+int(whole*s.item)], i); err != nil {
				return n, err
			}
			n += int(whole * s.item)
			continue
		}
		var one [8]byte // for a range that begins or ends within an element
		if err := g.gather(one[:s.item], i); err != nil {
			return n, err
		}
		n += copy(b[n:want], one[skip:s.item])
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// gatherer is the state of one call of ReadAt.
type gatherer struct {
	*strided
	buf  []byte
	have []byte // bytes of the file from offset from on, within buf
	from int64
}

// gather reads the elements from index i on, box by box.
func (g *gatherer) gather(dst []byte, i int64) error {
	for len(dst) > 0 {
		box, start, n := g.box(i, int64(len(dst))/g.item)
		if err := g.copyBox(dst[:n*g.item], box, g.base+start*g.item); err != nil {
			return err
		}
		dst, i = dst[n*g.item:], i+n
	}
	return nil
}

// box returns the largest box that begins with element i and has at most limit
// elements. A box is a range of one dimension together with all of the
// dimensions inside it. box also returns the position of the box's first
// element in the storage, and the number of elements.
func (g *gatherer) box(i, limit int64) (box []axis, start, n int64) {
	// Extend the box outwards while it begins at the start of dimension j and has
	// room for all of it.
	j, inner := len(g.axes)-1, int64(1) // inner is the size of the dimensions after j
	for j > 0 && i%(inner*g.axes[j].n) == 0 && limit >= inner*g.axes[j].n {
		inner *= g.axes[j].n
		j--
	}
	steps := min(g.axes[j].n-i/inner%g.axes[j].n, limit/inner)
	box = slices.Clone(g.axes[j:])
	box[0].n, n = steps, steps*inner
	// The mixed-radix digits of i are the indices of the first element.
	for k := len(g.axes) - 1; k >= 0; k-- {
		start += i % g.axes[k].n * g.axes[k].stride
		i /= g.axes[k].n
	}
	for k, out := len(box)-1, int64(1); k >= 0; k-- {
		box[k].out = out
		out *= box[k].n
	}
	return box, start, n
}

// copyBox copies a box whose first element is at file offset at. It reads the
// file in ascending order, and reads nearby elements together.
func (g *gatherer) copyBox(dst []byte, box []axis, at int64) error {
	// Sort the axes by descending stride, so that the innermost axis has its
	// elements closest together in the file.
	slices.SortStableFunc(box, func(a, b axis) int { return int(max(-1, min(1, b.stride-a.stride))) })
	span, k := int64(1), len(box) // span is the extent of the axes from k on, whose gaps are narrow
	for k > 0 && (box[k-1].stride-span)*g.item <= near {
		k--
		span += (box[k].n - 1) * box[k].stride
	}
	// The innermost two axes become the plane. Axes of one element replace those
	// that the box does not have.
	p := plane{cross: axis{n: 1}, line: axis{n: 1, stride: 1, out: 1}}
	if last := len(box) - 1; k <= last {
		p.line, box = box[last], box[:last]
	}
	if last := len(box) - 1; last >= 0 {
		p.far = k > last
		p.cross, box = box[last], box[:last]
	}
	k = min(k, len(box))
	return odometer(box[:k], func(in, out int64) error {
		end := at + (in+span)*g.item
		return odometer(box[k:], func(in2, out2 int64) error {
			return g.copyPlane(dst[(out+out2)*g.item:], p, at+(in+in2)*g.item, end)
		})
	})
}

// plane is the two innermost axes of a box: lines, and the axis across them.
// far is set if the gaps between lines are too wide to read.
type plane struct {
	cross, line axis
	far         bool
}

// copyPlane copies a plane whose first element is at file offset at. It copies
// all lines that are in the buffer together.
func (g *gatherer) copyPlane(dst []byte, p plane, at, end int64) error {
	span := ((p.line.n-1)*p.line.stride + 1) * g.item
	for p.cross.n > 0 {
		// A line that does not fit the window is copied alone. Shorter lines
		// share reads.
		n := int64(1)
		if span > window {
			if err := g.copyLine(dst, p.line, at, max(end, at+span)); err != nil {
				return err
			}
		} else {
			src, step, many, err := g.lines(p, at, span, end)
			if err != nil {
				return err
			}
			n = many
			p.spread(dst, src, int(n), int(step), int(g.item))
		}
		p.cross.n -= n
		at += n * p.cross.stride * g.item
		dst = dst[min(n*p.cross.out*g.item, int64(len(dst))):]
	}
	return nil
}

// lines reads n lines of span bytes each, which begin step bytes apart in src.
func (g *gatherer) lines(p plane, at, span, end int64) (src []byte, step, n int64, err error) {
	step = p.cross.stride * g.item
	if !p.far {
		src, err = g.bytes(at, span, end)
		n = p.cross.n
		if step > 0 {
			n = min(n, (int64(len(src))-span)/step+1)
		}
		return src, step, n, err
	}
	n = min(p.cross.n, window/span)
	g.grow(n * span)
	for i := range n {
		if err := bounded.ReadFull(g.r, g.buf[i*span:][:span], at+i*step); err != nil {
			return nil, 0, 0, err
		}
	}
	return g.buf[:n*span], span, n, nil
}

// odometer calls f for every combination of steps along the axes, the last axis
// fastest, with the distances in the file and in the output, in elements.
func odometer(axes []axis, f func(in, out int64) error) error {
	if len(axes) == 0 {
		return f(0, 0)
	}
	for i := range axes[0].n {
		err := odometer(axes[1:], func(in, out int64) error { return f(in+i*axes[0].stride, out+i*axes[0].out) })
		if err != nil {
			return err
		}
	}
	return nil
}

// copyLine copies a line that is longer than the window.
func (g *gatherer) copyLine(dst []byte, line axis, at, end int64) error {
	if line.stride == 1 && line.out == 1 {
		return bounded.ReadFull(g.r, dst[:line.n*g.item], at)
	}
	for line.n > 0 {
		src, err := g.bytes(at, g.item, end)
		if err != nil {
			return err
		}
		n := min(line.n, (int64(len(src))-g.item)/(line.stride*g.item)+1)
		plane{line: axis{n: n, stride: line.stride, out: line.out}}.spread(dst, src, 1, 0, int(g.item))
		line.n -= n
		at += n * line.stride * g.item
		dst = dst[min(n*line.out*g.item, int64(len(dst))):]
	}
	return nil
}

// bytes returns the bytes of the file from offset at on: at least least bytes,
// and at most up to end.
func (g *gatherer) bytes(at, least, end int64) ([]byte, error) {
	if at < g.from || at+least > g.from+int64(len(g.have)) {
		n := min(window, end-at)
		g.grow(n)
		if err := bounded.ReadFull(g.r, g.buf[:n], at); err != nil {
			return nil, err
		}
		g.have, g.from = g.buf[:n], at
	}
	return g.have[at-g.from:], nil
}

// grow makes the buffer at least n bytes long, and invalidates its contents.
func (g *gatherer) grow(n int64) {
	if g.have = nil; int64(len(g.buf)) < n {
		g.buf = make([]byte, n)
	}
}

// spread copies n lines, which begin step bytes apart in src. Its inner loop
// runs across the lines, where neighbours are adjacent in the output.
func (p plane) spread(dst, src []byte, n, step, item int) {
	in, out, across := int(p.line.stride)*item, int(p.line.out)*item, int(p.cross.out)*item
	count := int(p.line.n)
	if in == item && out == item {
		for k := range n {
			copy(dst[k*across:][:count*item], src[k*step:])
		}
		return
	}
	for i := range count {
		d, s := dst[i*out:], src[i*in:]
		switch item {
		case 2:
			for k := range n {
				binary.LittleEndian.PutUint16(d[k*across:], binary.LittleEndian.Uint16(s[k*step:]))
			}
		case 4:
			for k := range n {
				binary.LittleEndian.PutUint32(d[k*across:], binary.LittleEndian.Uint32(s[k*step:]))
			}
		default:
			for k := range n {
				copy(d[k*across:][:item], s[k*step:])
			}
		}
	}
}

// brief formats at most eight numbers of a list.
func brief(list []int64) string {
	if len(list) > 8 {
		return fmt.Sprintf("%v… (%d in all)", list[:8], len(list))
	}
	return fmt.Sprint(list)
}
