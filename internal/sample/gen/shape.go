package main

import "math"

// A distance is negative inside a shape and positive outside, in the units of the scene.

func circle(x, y, r float64) float64 { return math.Hypot(x, y) - r }

// ellipse is approximate away from its rim, which is all that shading needs.
func ellipse(x, y, rx, ry float64) float64 {
	return (math.Hypot(x/rx, y/ry) - 1) * min(rx, ry)
}

// box is a rectangle of the given half sizes with rounded corners.
func box(x, y, w, h, corner float64) float64 {
	dx, dy := math.Abs(x)-w+corner, math.Abs(y)-h+corner
	return math.Hypot(max(dx, 0), max(dy, 0)) + min(max(dx, dy), 0) - corner
}

// segment is a thick line with round ends.
func segment(x, y float64, from, to [2]float64, r float64) float64 {
	vx, vy := to[0]-from[0], to[1]-from[1]
	t := clamp(((x-from[0])*vx + (y-from[1])*vy) / (vx*vx + vy*vy))
	return math.Hypot(x-from[0]-vx*t, y-from[1]-vy*t) - r
}

// join is the union of two shapes with a fillet of about k.
func join(a, b, k float64) float64 {
	h := clamp(0.5 + 0.5*(b-a)/k)
	return mix(b, a, h) - k*h*(1-h)
}

// inside is 1 inside the shape and 0 outside, with an edge of the given softness.
func inside(d, softness float64) float64 { return step(softness, -softness, d) }

// slice is the outline of a slice of tin loaf, about two units tall: a box with two lobes on top.
func slice(x, y float64) float64 {
	body := box(x, y-0.16, 0.78, 0.76, 0.14)
	lobes := min(circle(math.Abs(x)-0.46, y+0.42, 0.44), ellipse(x, y+0.44, 0.62, 0.40))
	return join(body, lobes, 0.12)
}

func turn(x, y, angle float64) (float64, float64) {
	sin, cos := math.Sincos(angle)
	return x*cos + y*sin, y*cos - x*sin
}
