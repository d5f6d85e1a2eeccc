package main

import "math"

// noise is seeded value noise over the plane. The zero value is seed 0.
type noise uint32

// lattice returns a pseudo-random value in [0,1) for a grid point.
func (n noise) lattice(x, y int) float64 {
	h := uint32(x)*0x9E3779B1 ^ uint32(y)*0x85EBCA77 ^ uint32(n)*0xC2B2AE3D
	h = (h ^ h>>15) * 0x2C1B3C6D
	h = (h ^ h>>12) * 0x297A2D39
	return float64(h^h>>15) / (1 << 32)
}

// at returns smooth noise in [0,1) with features one unit wide.
func (n noise) at(x, y float64) float64 {
	fx, fy := math.Floor(x), math.Floor(y)
	i, j := int(fx), int(fy)
	u, v := smooth(x-fx), smooth(y-fy)
	top := mix(n.lattice(i, j), n.lattice(i+1, j), u)
	bottom := mix(n.lattice(i, j+1), n.lattice(i+1, j+1), u)
	return mix(top, bottom, v)
}

// fractal sums octaves of noise, each twice as fine and half as strong, and returns a value in [0,1).
func (n noise) fractal(x, y float64, octaves int) float64 {
	sum, weight, total := 0.0, 1.0, 0.0
	for o := range octaves {
		sum += weight * (n+noise(o)*101).at(x, y)
		total += weight
		x, y, weight = x*2+17, y*2-9, weight/2
	}
	return sum / total
}

// cell describes the scattered point nearest to a place.
type cell struct {
	distance float64 // to the nearest point
	dx, dy   float64 // from the point to the place
	id       float64 // random in [0,1), one per cell
}

// cells scatters one point per unit square and returns the one nearest to x, y.
func (n noise) cells(x, y float64) cell {
	best := cell{distance: 9}
	i, j := int(math.Floor(x)), int(math.Floor(y))
	for a := i - 1; a <= i+1; a++ {
		for b := j - 1; b <= j+1; b++ {
			dx, dy := x-float64(a)-n.lattice(a, b), y-float64(b)-(n+1).lattice(a, b)
			d := math.Hypot(dx, dy)
			if d < best.distance {
				best = cell{distance: d, dx: dx, dy: dy, id: (n + 2).lattice(a, b)}
			}
		}
	}
	return best
}

func mix(a, b, t float64) float64 { return a + (b-a)*t }

func clamp(x float64) float64 { return min(1, max(0, x)) }

func smooth(t float64) float64 { return t * t * (3 - 2*t) }

// step rises smoothly from 0 at from to 1 at to; from may be the larger.
func step(from, to, x float64) float64 { return smooth(clamp((x - from) / (to - from))) }
