package verify

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/resolve"
)

const (
	// defaultSegment is how much of an object is read by one request to each site: what is read again after a failure.
	defaultSegment = 64 << 20
	// chunkMost bounds the buffer per site, and chunkAll those of all sites of a key.
	chunkMost = 64 << 10
	chunkAll  = 1 << 20
)

// relation is what stored checksums tell of two contents.
type relation int

const (
	unknown relation = iota
	equal
	different
)

// stored compares two objects without reading them.
//
//	sizes | checksum of one algorithm and form | ETags                             | relation
//	------+------------------------------------+-----------------------------------+----------
//	differ                                                                         | different
//	same  | equal                              | –                                 | equal
//	same  | differ, of the whole content       | –                                 | different
//	same  | none, or differ and are composite  | equal, both the MD5 of the content| equal
//	same  | none, or differ and are composite  | otherwise                         | unknown
//
// A composite checksum depends on the sizes of the parts. Unequal ETags tell nothing, as not every store makes them of the
// content. Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
func stored(a, b *s3mesh.Object) relation {
	if a.Size != b.Size {
		return different
	}
	for _, x := range a.Checksums {
		for _, y := range b.Checksums {
			switch {
			case x.Algorithm != y.Algorithm || x.Composite != y.Composite:
			case x.Value == y.Value:
				return equal
			case !x.Composite:
				return different
			}
		}
	}
	if a.ETag == b.ETag && isMD5(a) && isMD5(b) {
		return equal
	}
	return unknown
}

// isMD5 reports whether an object's ETag is that of its content.
func isMD5(o *s3mesh.Object) bool { return o.ETag != "" && !o.OpaqueETag && !resolve.Multipart(o.ETag) }

// contents numbers the contents of the objects, so that those with the same number are equal, and returns how many bytes that
// took. The error is errChanged when an object changed meanwhile.
func (r *runner) contents(ctx context.Context, key string, present []*held) (read int64, err error) {
	var kinds []*held // one of each content, as far as it is known
	for i, h := range present {
		h.content = i
		like := slices.IndexFunc(kinds, func(k *held) bool { return r.relate(h, k) == equal })
		if like >= 0 {
			h.content = kinds[like].content
		} else {
			kinds = append(kinds, h)
		}
	}
	for len(kinds) > 0 {
		var same, others []*held
		for _, k := range kinds {
			if k.object.Size == kinds[0].object.Size {
				same = append(same, k)
			} else {
				others = append(others, k)
			}
		}
		kinds = others
		if r.doubtful(same) {
			n, err := r.compareBytes(ctx, key, same, present)
			if read += n; err != nil {
				return read, err
			}
		}
	}
	return read, nil
}

// relate is stored, as far as that is to be relied on.
func (r *runner) relate(a, b *held) relation {
	relation := stored(a.object, b.object)
	if relation == equal && r.opt.Bytes && a.object.Size > 0 {
		return unknown
	}
	if a.object.Size == 0 && b.object.Size == 0 {
		return equal
	}
	return relation
}

// doubtful reports that stored checksums do not tell of all of these whether they are equal.
func (r *runner) doubtful(all []*held) bool {
	for i, a := range all {
		for _, b := range all[i+1:] {
			if r.relate(a, b) == unknown {
				return true
			}
		}
	}
	return false
}

// compareBytes reads the objects of kinds, which are of one size, side by side, and gives those of present that are like equal
// ones the same number.
func (r *runner) compareBytes(ctx context.Context, key string, kinds, present []*held) (read int64, err error) {
	size := kinds[0].object.Size
	s := split{classes: make([]int, len(kinds))}
	for offset := int64(0); offset < size && !s.allDiffer(); offset += r.segment {
		part := s3mesh.ByteRange{Offset: offset, Length: min(r.segment, size-offset)}
		err := retry(ctx, func() error {
			n, err := r.compareSegment(ctx, key, kinds, part, &s)
			read += n
			return err
		})
		if kind := s3mesh.KindOf(err); kind == s3mesh.KindNotFound || kind == s3mesh.KindPreconditionFailed {
			err = errChanged
		}
		if err != nil {
			return read, err
		}
	}
	numbers := make(map[int]int, len(kinds))
	for i, k := range kinds {
		numbers[k.content] = kinds[s.classes[i]].content
	}
	for _, h := range present {
		if number, ok := numbers[h.content]; ok {
			h.content = number
		}
	}
	return read, nil
}

// compareSegment reads one range of every object, and splits them by what they hold there.
func (r *runner) compareSegment(
	ctx context.Context, key string, kinds []*held, part s3mesh.ByteRange, s *split,
) (read int64, err error) {
	bodies, err := r.openBodies(ctx, key, kinds, part)
	defer func() {
		for _, body := range bodies {
			if body != nil {
				_ = body.Close() // only read from: nothing is lost
			}
		}
	}()
	if err != nil {
		return 0, err
	}
	chunks := make([][]byte, len(kinds))
	for i := range chunks {
		chunks[i] = make([]byte, min(part.Length, chunkMost, chunkAll/int64(len(kinds))))
	}
	for left := part.Length; left > 0 && !s.allDiffer(); left -= int64(len(chunks[0])) {
		for i, body := range bodies {
			chunks[i] = chunks[i][:min(left, int64(len(chunks[i])))]
			if _, err := io.ReadFull(body, chunks[i]); err != nil {
				return read, cutOff(kinds[i].site, key, err)
			}
			read += int64(len(chunks[i]))
			r.bytes.Add(int64(len(chunks[i])))
		}
		s.by(chunks)
	}
	return read, nil
}

// openBodies opens a range of every object at once, pinned to what was seen of it.
func (r *runner) openBodies(ctx context.Context, key string, kinds []*held, part s3mesh.ByteRange) ([]io.ReadCloser, error) {
	bodies := make([]io.ReadCloser, len(kinds))
	failed := make([]error, len(kinds))
	each(len(kinds), func(i int) {
		o := kinds[i].object
		opt := s3mesh.ReadOptions{VersionID: o.VersionID, IfMatch: o.ETag}
		if part.Length < o.Size {
			opt.Range = &part
		}
		_, bodies[i], failed[i] = r.Sites[kinds[i].site].Get(ctx, key, opt)
	})
	for _, err := range failed {
		if err != nil {
			return bodies, err
		}
	}
	return bodies, nil
}

// cutOff gives a failure to read a body its kind.
func cutOff(site, key string, err error) error {
	kind := s3mesh.KindOf(err)
	if kind == s3mesh.KindOther || errors.Is(err, io.ErrUnexpectedEOF) {
		kind = s3mesh.KindCorrupted
	}
	return &s3mesh.Error{Kind: kind, Op: "read body", Site: site, Key: key, Err: err}
}

// split sorts contents into classes: each has the number of the first one that is equal to it.
type split struct{ classes []int }

// by splits the classes by a chunk of each content.
func (s *split) by(chunks [][]byte) {
	next := make([]int, len(s.classes))
	for i := range chunks {
		next[i] = i
		for j := range i {
			if s.classes[i] == s.classes[j] && next[j] == j && bytes.Equal(chunks[i], chunks[j]) {
				next[i] = j
				break
			}
		}
	}
	copy(s.classes, next)
}

func (s *split) allDiffer() bool {
	for i, class := range s.classes {
		if class != i {
			return false
		}
	}
	return true
}
