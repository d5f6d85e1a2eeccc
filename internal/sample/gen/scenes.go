package main

import "math"

func pugToast(x, y float64) rgb {
	b := bread{grain: 1, crumb: white, crust: hex(0x8A4F22), pores: 0.55, brown: 0.20, burnt: pug}
	return lay(plate(x, y, 1.16, hex(0xF1F0EA)), x, y-0.01, 0.86, -0.06, b, nil)
}

func avocadoToast(x, y float64) rgb {
	b := bread{grain: 2, crumb: white, crust: hex(0x7B4420), pores: 0.9, brown: 0.42}
	top := func(c rgb, x, y float64) rgb { return egg(avocado(c, x, y), x-0.08, y+0.02) }
	return lay(plate(x, y, 1.16, hex(0xDCE4E8)), x, y-0.01, 0.86, 0.10, b, top)
}

func jamToast(x, y float64) rgb {
	b := bread{grain: 3, crumb: white, crust: hex(0x85491F), pores: 0.7, brown: 0.45}
	top := func(c rgb, x, y float64) rgb { return butter(jam(c, x, y), x-0.05, y-0.05) }
	board := table(y*1.7+3, x*1.7-0.4).to(hex(0xD8B98C), 0.35)
	return lay(board, x, y-0.01, 0.90, -0.16, b, top)
}

// ryeToast is a dark slice with caraway and sunflower seeds.
func ryeToast(x, y float64) rgb {
	rye := []rgb{hex(0xA98058), hex(0x8A6140), hex(0x6B4529), hex(0x4C2E1A), hex(0x301B0F)}
	b := bread{grain: 4, crumb: rye, crust: hex(0x3F2413), pores: 0.8, brown: 0.40}
	seeds := func(c rgb, x, y float64) rgb {
		n := noise(701)
		c = scatter(c, n, x, y, 8, 0.62, [2]float64{0.24, 0.10}, hex(0xCDB58A))
		return scatter(c, n+50, x, y, 15, 0.55, [2]float64{0.22, 0.065}, hex(0x5B3B1E))
	}
	cloth := func(x, y float64) rgb {
		weave := 0.5 + 0.5*math.Sin(x*190)*math.Sin(y*190)
		check := step(0.45, 0.55, 0.5+0.5*math.Sin(x*11)) + step(0.45, 0.55, 0.5+0.5*math.Sin(y*11))
		return hex(0xF2EEE6).to(hex(0x8FA7B8), 0.40*check).lit(0.86 + 0.14*weave)
	}
	ux, uy := turn(x, y, 0.4)
	return lay(cloth(ux, uy), x, y-0.01, 0.90, 0.22, b, seeds)
}

// scatter strews seeds, per unit of length, over c; share is how many places stay empty, size in cells.
func scatter(c rgb, n noise, x, y, per, share float64, size [2]float64, husk rgb) rgb {
	s := n.cells(x*per, y*per)
	if s.id < share || slice(x, y) > -0.11 {
		return c
	}
	sx, sy := turn(s.dx, s.dy, s.id*60)
	c = c.lit(1 - 0.45*inside(ellipse(sx-0.04, sy-0.05, size[0], size[1]*1.2), 0.05))
	ridge := 0.85 + 0.35*step(0.7, 0, math.Abs(sy/size[1])) - 0.2*sy/size[1]
	return c.to(husk.lit(ridge*(0.8+0.4*s.id)), inside(ellipse(sx, sy, size[0], size[1]), 0.02))
}

// stackOfToast is six slices seen from the side, with butter on top.
func stackOfToast(x, y float64) rgb {
	const front = 0.56
	c := hex(0xE9D9C4).to(hex(0xB7A48F), clamp(0.5+0.5*y)).lit(0.94 + 0.06*noise(801).fractal(x*3, y*3, 4))
	if y > front {
		c = table(x*0.9, (y-front)*3.2-0.1)
	}
	c = c.lit(1 - 0.60*inside(ellipse(x-0.08, y-0.79, 0.98, 0.13), 0.10))
	for i := range 6 {
		c = stacked(c, x, y, i)
	}
	return pat(c, x, y)
}

// stacked draws slice i of the stack, from the bottom: a cut side, pale in the middle, toasted above and below.
func stacked(c rgb, x, y float64, i int) rgb {
	const half = 0.108
	n := noise(810 + 10*i)
	x -= 0.14 * (n.lattice(0, 0) - 0.5)
	y -= 0.68 - 0.196*float64(i) + (0.05*(n.lattice(1, 0)-0.5))*x
	y += 0.022 * (n.fractal(x*3, 1, 3) - 0.5)
	d := box(x, y, 0.82+0.06*n.lattice(2, 0), half, 0.06)
	c = c.lit(1 - 0.35*inside(box(x-0.03, y-0.03, 0.84, half, 0.06), 0.06))
	if d > 0.01 {
		return c
	}
	pores := n.cells(x*20+n.at(x*9, y*9), y*26)
	hole := step(0.42, 0.12, pores.distance) * step(0.4, 0.8, pores.id)
	toasted := 0.42*step(0.50, 1.0, math.Abs(y)/half+0.22*(n.fractal(x*7, y*7, 3)-0.5)) + 0.24*(n.fractal(x*24, y*30, 4)-0.5)
	cut := gradient(0.10+toasted+0.10*n.lattice(3, 0), white...).lit(1 - 0.24*hole)
	crust := hex(0x8A4F22).lit(0.66 + 0.6*n.fractal(x*20, y*20, 4))
	slab := cut.to(crust, step(-0.055, -0.02, d+0.01*n.at(x*12, y*12)))
	slab = slab.lit((1.08 - 0.22*step(-half, half, y)) * (1 - 0.12*x))
	return c.to(slab, inside(d, 0.006))
}

// pat is the butter on the stack, with runs of melt down its side.
func pat(c rgb, x, y float64) rgb {
	const top = -0.405
	n := noise(901)
	wavy := x + 0.03*(n.at(1, y*7)-0.5)
	run := ellipse(x, y-top, 0.42, 0.035)
	for i, length := range []float64{0.10, 0.26, 0.13, 0.38, 0.08} {
		at := -0.27 + 0.135*float64(i)
		drop := segment(wavy, y, [2]float64{at, top}, [2]float64{at, top + length}, 0.022)
		run = join(run, join(drop, circle(wavy-at, y-top-length, 0.033), 0.04), 0.06)
	}
	c = c.lit(1 - 0.28*inside(run-0.018, 0.03))
	melt := hex(0xF2BC42).lit(1.04-0.25*x).to(hex(0xFFEFB4), 0.75*step(-0.010, -0.030, run))
	c = c.to(melt, inside(run, 0.008))
	block := box(x, y-top+0.085, 0.24, 0.085, 0.035)
	shade := hex(0xFBE38A).lit(1.02 - 0.14*step(-0.10, 0.02, y-top) - 0.12*x)
	shade = shade.to(hex(0xFFFBE2), 0.8*step(top-0.125, top-0.15, y))
	return c.to(shade, inside(block, 0.006))
}

// cremeBrulee is a ramekin of custard under burnt sugar, from above.
func cremeBrulee(x, y float64) rgb {
	n := noise(1001)
	c := table(x, y+0.2).lit(0.85)
	c = c.lit(1 - 0.6*inside(circle(x-0.06, y-0.08, 0.86), 0.10))
	r := math.Hypot(x, y)
	rim := circle(x, y, 0.86)
	light := -(x + y) / (r + 0.01) / math.Sqrt2
	glaze := hex(0xF3EEE4).lit(0.93 + 0.12*light*(step(0.86, 0.80, r)-step(0.80, 0.74, r)))
	flutes := 0.02 * math.Sin(math.Atan2(y, x)*36)
	c = c.to(glaze.lit(1-0.12*step(0, 0.02, rim+0.03+flutes)), inside(rim+flutes*0.4, 0.006))

	sugar := func(x, y float64) float64 {
		return n.fractal(x*4, y*4, 4) + 0.3*(n+5).fractal(x*11, y*11, 2)
	}
	const e = 0.01
	slope := (sugar(x, y) - sugar(x-e, y-e)) / e
	burn := 0.18 + 0.95*(n+9).fractal(x*2.2, y*2.2, 4) - 0.12 + 0.5*step(0.35, 0.75, r)*(n+15).fractal(x*5, y*5, 3)
	top := gradient(burn, hex(0xF4D27A), hex(0xE7A83C), hex(0xBF6A1C), hex(0x7A3510), hex(0x38160A))
	top = top.lit(1 + 0.06*math.Tanh(slope/3)*2)
	top = top.to(hex(0xFFF3D6), 0.36*step(2.6, 6.5, slope))
	top = top.lit(1 - 0.35*step(0.66, 0.73, r)*clamp(0.5-light*0.5))
	return c.to(top, inside(circle(x, y, 0.73)+0.012*n.at(x*9, y*9), 0.006))
}
