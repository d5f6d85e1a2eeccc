package sample

import (
	"bytes"
	"cmp"
	"image"
	_ "image/jpeg"
	_ "image/png"
	"slices"
	"testing"
)

func TestImagesAreSortedAndDistinct(t *testing.T) {
	images := Images()
	if !slices.IsSortedFunc(images, func(a, b Image) int { return cmp.Compare(a.Key, b.Key) }) {
		t.Error("the images are not sorted by key")
	}
	for i, a := range images {
		for _, b := range images[i+1:] {
			if a.Key == b.Key || bytes.Equal(a.Data, b.Data) {
				t.Errorf("%q and %q are the same", a.Key, b.Key)
			}
		}
	}
}

func TestEveryFileIsInTheCatalogue(t *testing.T) {
	entries, err := files.ReadDir("images")
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(catalogue) {
		t.Errorf("%d files are embedded, %d have a key", len(entries), len(catalogue))
	}
}

func TestImagesAreRealPictures(t *testing.T) {
	total := 0
	for _, img := range Images() {
		total += len(img.Data)
		if len(img.Data) < 20<<10 || len(img.Data) > 250<<10 {
			t.Errorf("%s: %d bytes, want 20 to 250 KiB", img.Key, len(img.Data))
		}
		picture, format, err := image.Decode(bytes.NewReader(img.Data))
		if err != nil {
			t.Errorf("%s: %v", img.Key, err)
			continue
		}
		if "image/"+format != img.ContentType {
			t.Errorf("%s is %s, and is declared %s", img.Key, format, img.ContentType)
		}
		if size := picture.Bounds().Size(); size.X < 600 || size.Y < 400 {
			t.Errorf("%s measures only %v", img.Key, size)
		}
	}
	if total > 1<<20 {
		t.Errorf("the images weigh %d bytes together, want at most 1 MiB", total)
	}
}

func TestImagesReturnsCopies(t *testing.T) {
	first := Images()[0].Data
	before := first[0]
	first[0] ^= 0xFF
	if Images()[0].Data[0] != before {
		t.Error("a change of a returned picture shows in the next call")
	}
}
