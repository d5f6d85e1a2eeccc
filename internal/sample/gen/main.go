// Command gen draws the sample pictures of package sample. They are drawn, not photographed, so that the project owns
// every pixel it ships. The output depends on nothing but the program.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
)

var pictures = []struct {
	file          string
	width, height int
	scene         scene
}{
	{"pug.jpg", 800, 600, pugToast},
	{"avocado.jpg", 800, 600, avocadoToast},
	{"jam.jpg", 800, 600, jamToast},
	{"rye.jpg", 800, 600, ryeToast},
	{"stack.jpg", 800, 600, stackOfToast},
	{"creme-brulee.png", 640, 480, cremeBrulee},
}

func main() {
	out := flag.String("out", "images", "folder to write to")
	flag.Parse()
	if err := run(*out); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(dir string) error {
	for _, p := range pictures {
		img := render(p.width, p.height, p.scene)
		data, err := encode(filepath.Ext(p.file), img)
		if err != nil {
			return fmt.Errorf("encode %s: %w", p.file, err)
		}
		if err := os.WriteFile(filepath.Join(dir, p.file), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func encode(ext string, img *image.RGBA) ([]byte, error) {
	var b bytes.Buffer
	if ext == ".png" {
		encoder := png.Encoder{CompressionLevel: png.BestCompression}
		err := encoder.Encode(&b, quantise(img, 64))
		return b.Bytes(), err
	}
	err := jpeg.Encode(&b, img, &jpeg.Options{Quality: 82})
	return b.Bytes(), err
}
