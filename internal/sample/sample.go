// Package sample holds the pictures that the demo uploads: toast, drawn by the program in gen.
package sample

import (
	"embed"
	"fmt"
)

//go:generate go run ./gen -out images

//go:embed images
var files embed.FS

// Image is one picture and the key it is stored under.
type Image struct {
	Key         string
	ContentType string
	Data        []byte
}

// catalogue is sorted by key. The files have plain names, so that a checkout works on every file system; some of the keys
// have not, because keys with a space, a '+', a '%' or an accent are what replication tools stumble over.
var catalogue = []struct{ key, file, contentType string }{
	{"toast/100% rye + caraway.jpg", "rye.jpg", "image/jpeg"},
	{"toast/avocado.jpg", "avocado.jpg", "image/jpeg"},
	{"toast/crème brûlée.png", "creme-brulee.png", "image/png"},
	{"toast/jam.jpg", "jam.jpg", "image/jpeg"},
	{"toast/pug.jpg", "pug.jpg", "image/jpeg"},
	{"toast/stack of toast.jpg", "stack.jpg", "image/jpeg"},
}

// Images returns the pictures, sorted by key. Every call returns copies, which the caller may change.
func Images() []Image {
	images := make([]Image, len(catalogue))
	for i, entry := range catalogue {
		data, err := files.ReadFile("images/" + entry.file)
		if err != nil {
			panic(fmt.Sprintf("sample: the build embedded no %s: %v", entry.file, err))
		}
		images[i] = Image{Key: entry.key, ContentType: entry.contentType, Data: data}
	}
	return images
}
