package main

import "math"

// bread is how a slice looks: its grain, and how far it is toasted.
type bread struct {
	grain noise
	crumb []rgb // from untoasted to burnt
	crust rgb
	pores float64 // how open the crumb is, 0 to 1
	brown float64 // how toasted it is on average, 0 to 1
	burnt func(x, y float64) float64
}

var white = []rgb{hex(0xFBEBC8), hex(0xF3D49A), hex(0xDDA55B), hex(0xB06F30), hex(0x6E3C18), hex(0x35190C)}

// height is the relief of the crumb: bubbles of two sizes and fine grit.
func (b bread) height(x, y float64) float64 {
	wobble := 0.5 * b.grain.at(x*5, y*5)
	large := (b.grain + 11).cells(x*9+wobble, y*9-wobble)
	small := (b.grain + 23).cells(x*24+wobble, y*24)
	hole := step(0.34, 0.12, large.distance) * step(0.55, 0.9, large.id)
	dimple := step(0.40, 0.10, small.distance) * step(0.35, 0.8, small.id)
	return (b.grain+31).fractal(x*42, y*42, 3)*0.5 - b.pores*(hole*1.1+dimple*0.55)
}

// at is the colour of the slice's face at a place d inside its rim (d < 0).
func (b bread) at(x, y, d float64) rgb {
	const e = 0.006
	h := b.height(x, y)
	slope := (h - b.height(x-e, y-e)) / e
	brown := b.brown + 0.34*((b.grain+47).fractal(x*2.6, y*2.6, 4)-0.5) + 0.22*(h-0.1)
	brown += 0.16 * step(-0.30, -0.06, d)
	if b.burnt != nil {
		brown += b.burnt(x, y) * (0.92 + 0.35*(h-0.2))
	}
	c := gradient(brown, b.crumb...).lit(1 - 0.020*math.Tanh(slope/6)*6)
	c = c.lit(1 - 0.30*b.pores*step(-0.1, -0.9, h))
	return c.to(b.rind(x, y, d), step(-0.075, -0.035, d+0.02*(b.grain+5).fractal(x*9, y*9, 2)))
}

// rind is the crust around the crumb, rounded towards the light at the upper left.
func (b bread) rind(x, y, d float64) rgb {
	const e = 0.01
	nx, ny := slice(x+e, y)-slice(x-e, y), slice(x, y+e)-slice(x, y-e)
	facing := -(nx + ny) / (4 * e) * step(-0.07, 0, d)
	speckle := (b.grain + 61).fractal(x*30, y*30, 3)
	return b.crust.lit(0.72 + 0.5*speckle + 0.42*facing)
}

// table is planks of wood.
func table(x, y float64) rgb {
	const plank = 0.52
	row := math.Floor(y/plank + 0.3)
	grain := noise(uint32(int(row)+40) * 7)
	v := y/plank + 0.3 - row
	rings := grain.fractal(x*0.9+row*5, v*6+0.35*grain.at(x*2, v*2), 3)
	fibre := grain.fractal(x*4, y*130, 3)
	shade := 0.15 + 0.6*rings + 0.35*(fibre-0.5) + 0.18*(grain.lattice(1, 1)-0.5)
	c := gradient(shade, hex(0x5A3A25), hex(0x8A5E3B), hex(0xB58558), hex(0xC99C6C))
	gap := min(v, 1-v)
	return c.lit(1 - 0.65*step(0.022, 0.004, gap) - 0.10*step(0.08, 0.02, gap))
}

// plate is a glazed plate of radius r on the table.
func plate(x, y, r float64, glaze rgb) rgb {
	ground := table(x, y).lit(1 - 0.55*inside(circle(x-0.05, y-0.07, r), 0.09))
	d := circle(x, y, r)
	if d > 0.01 {
		return ground
	}
	angle := (x + y) / (math.Hypot(x, y) + 0.01) / math.Sqrt2
	light := 0.97
	light += 0.10 * angle * (step(-0.30, -0.26, d) - step(-0.26, -0.20, d))
	light -= 0.09 * angle * step(-0.06, 0, d)
	light += 0.10 * math.Exp(-80*math.Pow(math.Hypot(x+0.78*r, y+0.42*r)-0.08, 2))
	c := glaze.lit(light)
	c = c.to(hex(0x3A6B96), 0.75*step(0.016, 0.008, math.Abs(d+0.045)))
	return ground.to(c, inside(d, 0.006))
}

// lay puts a slice, scaled and turned about the middle, on a ground with its shadow; top may paint over the face.
func lay(ground rgb, x, y, scale, angle float64, b bread, top func(c rgb, x, y float64) rgb) rgb {
	sx, sy := turn(x-0.06, y-0.085, angle)
	shadow := slice(sx/scale, sy/scale)
	c := ground.lit(1 - 0.62*step(0.10, -0.12, shadow))
	ux, uy := turn(x, y, angle)
	ux, uy = ux/scale, uy/scale
	d := slice(ux, uy)
	if d > 0.01 {
		return c
	}
	face := b.at(ux, uy, d)
	if top != nil {
		face = top(face, ux, uy)
	}
	return c.to(face, inside(d, 0.006))
}
