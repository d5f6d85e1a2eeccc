package main

import (
	"image"
	"image/color"
	"math"
)

// rgb is a colour with components in [0,1], in the display's own gamma: good enough for toast.
type rgb struct{ r, g, b float64 }

func hex(v uint32) rgb {
	return rgb{float64(v>>16) / 255, float64(v>>8&255) / 255, float64(v&255) / 255}
}

// to moves a towards b by t.
func (a rgb) to(b rgb, t float64) rgb {
	return rgb{mix(a.r, b.r, t), mix(a.g, b.g, t), mix(a.b, b.b, t)}
}

// lit scales the brightness.
func (a rgb) lit(by float64) rgb { return rgb{a.r * by, a.g * by, a.b * by} }

// gradient returns the colour at t in [0,1] along evenly spaced stops.
func gradient(t float64, stops ...rgb) rgb {
	at := clamp(t) * float64(len(stops)-1)
	i := min(int(at), len(stops)-2)
	return stops[i].to(stops[i+1], at-float64(i))
}

// scene gives the colour at a place. The picture's height spans y in [-1,1], downwards; x spans its width to scale.
type scene func(x, y float64) rgb

// render samples each pixel four times.
func render(width, height int, s scene) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	scale := 2 / float64(height)
	for py := range height {
		for px := range width {
			var sum rgb
			for sub := range 4 {
				x := (float64(px) + 0.25 + 0.5*float64(sub%2) - float64(width)/2) * scale
				y := (float64(py)+0.25+0.5*float64(sub/2))*scale - 1
				c := s(x, y)
				sum = rgb{sum.r + c.r, sum.g + c.g, sum.b + c.b}
			}
			vignette := 0.25 * (1 - 0.16*math.Pow(math.Hypot(float64(px)/float64(width)-0.5, float64(py)/float64(height)-0.5)*1.6, 2))
			img.SetRGBA(px, py, color.RGBA{channel(sum.r * vignette), channel(sum.g * vignette), channel(sum.b * vignette), 255})
		}
	}
	return img
}

func channel(v float64) uint8 { return uint8(clamp(v)*255 + 0.5) }

// quantise returns img in a palette of one mean colour per step of brightness. It suits pictures of one hue, and keeps a
// PNG small.
func quantise(img *image.RGBA, colours int) *image.Paletted {
	sums := make([][4]int, colours)
	slot := func(c color.RGBA) int {
		return (299*int(c.R) + 587*int(c.G) + 114*int(c.B)) * colours / 255001
	}
	bounds := img.Bounds()
	each := func(visit func(x, y int, c color.RGBA)) {
		for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
			for x := bounds.Min.X; x < bounds.Max.X; x++ {
				visit(x, y, img.RGBAAt(x, y))
			}
		}
	}
	each(func(_, _ int, c color.RGBA) {
		s := &sums[slot(c)]
		s[0], s[1], s[2], s[3] = s[0]+int(c.R), s[1]+int(c.G), s[2]+int(c.B), s[3]+1
	})
	palette := make(color.Palette, colours)
	for i, s := range sums {
		n := max(1, s[3])
		palette[i] = color.RGBA{uint8(s[0] / n), uint8(s[1] / n), uint8(s[2] / n), 255}
	}
	out := image.NewPaletted(bounds, palette)
	each(func(x, y int, c color.RGBA) { out.SetColorIndex(x, y, uint8(slot(c))) })
	return out
}
