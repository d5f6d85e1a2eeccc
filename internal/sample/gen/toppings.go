package main

import "math"

// pug is the browning that burns a pug's face into a slice: fawn cheeks, dark mask, ears and eyes.
func pug(x, y float64) float64 {
	y -= 0.04
	ax := math.Abs(x)
	head := join(ellipse(x, y+0.05, 0.54, 0.50), ellipse(x, y-0.24, 0.46, 0.34), 0.1)
	ear := join(segment(ax, y, [2]float64{0.40, -0.46}, [2]float64{0.58, -0.14}, 0.13), circle(ax-0.55, y+0.06, 0.07), 0.1)
	muzzle := join(ellipse(ax-0.13, y-0.24, 0.20, 0.17), ellipse(x, y-0.12, 0.17, 0.16), 0.08)

	shade := 0.10 * inside(head, 0.02)
	shade = max(shade, 0.34*step(0.022, 0.006, math.Abs(head)))
	shade = max(shade, 0.66*inside(ear, 0.02))
	shade = max(shade, 0.46*inside(muzzle, 0.03))
	shade = max(shade, 0.40*inside(ellipse(ax-0.25, y+0.06, 0.175, 0.155), 0.05))
	shade = max(shade, wrinkles(x, y))
	shade = max(shade, 0.80*inside(circle(ax-0.25, y+0.05, 0.105), 0.012))
	shade = max(shade, 0.80*inside(join(ellipse(x, y-0.10, 0.11, 0.06), ellipse(x, y-0.14, 0.06, 0.06), 0.05), 0.012))
	shade = max(shade, mouth(ax, y))
	glint := inside(circle(ax-0.285, y+0.09, 0.030), 0.012) + 0.5*inside(circle(ax-0.215, y+0.01, 0.016), 0.01)
	glint += 0.45 * inside(ellipse(x+0.03, y-0.075, 0.035, 0.014), 0.012)
	return shade * (1 - 0.95*clamp(glint))
}

// wrinkles are the folds of the forehead and beside the nose.
func wrinkles(x, y float64) float64 {
	ax := math.Abs(x)
	fold := func(cy, bend, reach float64) float64 {
		return step(0.020, 0.006, math.Abs(y-cy-bend*ax*ax)) * step(reach, reach-0.08, ax)
	}
	shade := max(fold(-0.42, 0.9, 0.24), fold(-0.33, 1.4, 0.21), fold(-0.24, 2.2, 0.15))
	brow := segment(ax, y, [2]float64{0.03, -0.20}, [2]float64{0.05, -0.03}, 0.012)
	cheek := segment(ax, y, [2]float64{0.36, 0.16}, [2]float64{0.40, 0.34}, 0.010)
	return max(0.50*shade, 0.45*inside(brow, 0.012), 0.36*inside(cheek, 0.012))
}

func mouth(ax, y float64) float64 {
	groove := segment(ax, y, [2]float64{0, 0.17}, [2]float64{0, 0.27}, 0.012)
	lip := math.Abs(circle(ax-0.13, y-0.22, 0.13)) - 0.013
	if y < 0.25 {
		lip = 1
	}
	return 0.78 * inside(min(groove, lip), 0.010)
}

// avocado is mash, spread unevenly, with chilli flakes and pepper.
func avocado(c rgb, x, y float64) rgb {
	n := noise(301)
	edge := slice(x, y) + 0.15 + 0.16*(n.fractal(x*4, y*4, 4)-0.5)
	cover := inside(edge, 0.012)
	mash := func(x, y float64) float64 {
		return n.fractal(x*5, y*5+x*2, 5) + 0.25*step(0.5, 0.1, (n+3).cells(x*7, y*7).distance) + 0.35*step(0, -0.12, edge)
	}
	const e = 0.008
	light := (mash(x, y) - mash(x-e, y-e)) / e
	tone := n.fractal(x*3+9, y*3, 4)
	green := gradient(tone, hex(0x6F8F2B), hex(0x9DB548), hex(0xC4CF6A), hex(0xE0E292)).lit(1 + 0.07*math.Tanh(light/4)*1.6)
	c = c.lit(1-0.35*inside(edge-0.03, 0.03)).to(green, cover)
	if flake := (n + 9).cells(x*11, y*11); flake.id > 0.72 {
		fx, fy := turn(flake.dx, flake.dy, flake.id*40)
		chilli := gradient(flake.id*9-math.Floor(flake.id*9), hex(0xA81E12), hex(0xD9421F), hex(0xE98A2E))
		c = c.lit(1 - 0.3*inside(ellipse(fx-0.05, fy-0.05, 0.2, 0.1), 0.06))
		c = c.to(chilli, cover*inside(ellipse(fx, fy, 0.17, 0.075), 0.03))
	}
	if pepper := (n + 13).cells(x*19, y*19); pepper.id > 0.62 {
		c = c.to(hex(0x2A2018), 0.9*cover*inside(circle(pepper.dx, pepper.dy, 0.10+0.1*pepper.id), 0.05))
	}
	return c
}

// egg is a fried egg.
func egg(c rgb, x, y float64) rgb {
	n := noise(401)
	rim := circle(x, y, 0.47) + 0.20*(n.fractal(x*3, y*3, 3)-0.5)
	c = c.lit(1 - 0.35*inside(rim-0.03, 0.06))
	albumen := hex(0xFFFBF2).lit(0.93 + 0.09*n.fractal(x*6, y*6, 3) - 0.05*(x+y))
	albumen = albumen.to(hex(0xC88A3C), 0.75*step(-0.05, 0.0, rim+0.05*n.fractal(x*20, y*20, 2)))
	c = c.to(albumen, inside(rim, 0.01))
	yx, yy := x+0.04, y-0.01
	yolk := circle(yx, yy, 0.205)
	c = c.lit(1 - 0.16*inside(circle(yx-0.02, yy-0.025, 0.22), 0.04))
	ball := hex(0xF6A01B).lit(1.02 - 0.75*(yx+yy)*0.6 - 0.18*step(-0.06, 0, yolk))
	ball = ball.to(hex(0xFFF6DC), 0.85*inside(ellipse(yx+0.08, yy+0.09, 0.05, 0.032), 0.016))
	return c.to(ball, inside(yolk, 0.008))
}

// jam is strawberry jam: glossy, lumpy, with seeds.
func jam(c rgb, x, y float64) rgb {
	n := noise(501)
	edge := slice(x, y) + 0.20 + 0.26*(n.fractal(x*2.6, y*2.6, 3)-0.5)
	cover := inside(edge, 0.012)
	lumps := func(x, y float64) float64 {
		return (n+1).fractal(x*4.5, y*4.5, 3) + 0.5*step(0.6, 0.0, (n+3).cells(x*4, y*4).distance) + 0.5*step(0, -0.10, edge)
	}
	const e = 0.012
	slope := (lumps(x, y) - lumps(x-e, y-e)) / e
	red := gradient(0.55*lumps(x, y), hex(0x4A0410), hex(0x8E0B1C), hex(0xC01A2C), hex(0xE0444A)).lit(1 + 0.03*slope)
	red = red.to(hex(0xFFE9E4), 0.62*step(3.6, 8.5, slope))
	c = c.lit(1-0.40*inside(edge-0.03, 0.03)).to(red, cover)
	if seed := (n + 7).cells(x*13, y*13); seed.id > 0.55 {
		sx, sy := turn(seed.dx, seed.dy, seed.id*50)
		c = c.to(hex(0xE7B769), 0.85*cover*inside(ellipse(sx, sy, 0.10, 0.055), 0.02))
	}
	return c
}

// butter is a pat, softening at its corners in a pool of its own.
func butter(c rgb, x, y float64) rgb {
	n := noise(601)
	pool := circle(x, y, 0.33) + 0.16*(n.fractal(x*4, y*4, 3)-0.5)
	c = c.to(hex(0xF2C14A), 0.42*inside(pool, 0.03)).lit(1 + 0.10*step(0.03, 0.0, math.Abs(pool+0.02)))
	bx, by := turn(x, y, -0.35)
	c = c.lit(1 - 0.45*inside(box(bx-0.03, by-0.05, 0.20, 0.16, 0.05), 0.05))
	side := box(bx-0.005, by-0.035, 0.20, 0.16, 0.05)
	c = c.to(hex(0xE0B23F), inside(side, 0.008))
	top := box(bx, by, 0.20, 0.155, 0.06)
	pat := hex(0xFBE38A).lit(1.0 - 0.25*(bx+by) + 0.05*n.fractal(bx*9, by*30, 2))
	pat = pat.to(hex(0xFFFCE8), 0.6*step(-0.035, -0.012, top)*step(0.02, -0.12, bx+by))
	return c.to(pat, inside(top, 0.008))
}
