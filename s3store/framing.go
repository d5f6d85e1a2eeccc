package s3store

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"net/http"
	"strconv"
)

// A body that goes without a signature is protected by a CRC-32C, which costs next to nothing: one that is in memory by a
// header, a streamed one by a trailer. The trailer is needed beyond damage. A store may take a connection that is cut for
// the end of the body: versitygw 1.8 then keeps the first part as a whole object. With the framing that goes with a
// trailer it cannot, and every SDK of Amazon's has used that framing by default since 2025.
const (
	checksumHeader  = "X-Amz-Checksum-Crc32c"
	framedPayload   = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	frameSize       = 1 << 20 // MinIO takes up to 16 MiB
	frameEnd        = "\r\n"
	trailerFormat   = "0\r\nx-amz-checksum-crc32c:%s\r\n\r\n"
	trailerLength   = int64(len("0\r\nx-amz-checksum-crc32c:AAAAAA==\r\n\r\n"))
	frameEndsLength = int64(2 * len(frameEnd)) // after the size, and after the data
)

func newChecksum() hash.Hash32 { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) }

func encodeChecksum(sum uint32) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum))
}

// framed sends source in frames: size in hexadecimal, data, and last the checksum of it all.
type framed struct {
	source io.ReadCloser
	left   int64 // of source
	frame  int64 // left of the current frame
	text   []byte
	sum    hash.Hash32
	ended  bool
}

// frame makes req send b framed.
func (b *body) frame(req *http.Request) {
	req.Body = &framed{source: b, left: b.size, sum: newChecksum()}
	req.ContentLength = framedLength(b.size)
	req.Header.Set("X-Amz-Decoded-Content-Length", strconv.FormatInt(b.size, 10))
	req.Header.Set("X-Amz-Trailer", "x-amz-checksum-crc32c")
}

// framedLength returns how long size bytes are in frames.
func framedLength(size int64) int64 {
	length := func(n int64) int64 { return int64(len(strconv.FormatInt(n, 16))) + frameEndsLength + n }
	total := size / frameSize * length(frameSize)
	if rest := size % frameSize; rest > 0 {
		total += length(rest)
	}
	return total + trailerLength
}

// Read implements io.Reader.
func (f *framed) Read(p []byte) (int, error) {
	if len(f.text) == 0 && f.frame == 0 {
		if f.ended {
			return 0, io.EOF
		}
		f.next()
	}
	if len(f.text) > 0 {
		n := copy(p, f.text)
		f.text = f.text[n:]
		return n, nil
	}
	n, err := f.source.Read(p[:min(int64(len(p)), f.frame)])
	f.sum.Write(p[:n])
	f.frame -= int64(n)
	f.left -= int64(n)
	if f.frame == 0 {
		f.text = []byte(frameEnd)
	}
	if err == io.EOF && f.left == 0 {
		err = nil
	}
	return n, err
}

// next starts a frame, or the trailer.
func (f *framed) next() {
	if f.left == 0 {
		f.text = fmt.Appendf(nil, trailerFormat, encodeChecksum(f.sum.Sum32()))
		f.ended = true
		return
	}
	f.frame = min(f.left, frameSize)
	f.text = strconv.AppendInt(f.text[:0], f.frame, 16)
	f.text = append(f.text, frameEnd...)
}

// Close implements io.Closer.
func (f *framed) Close() error { return f.source.Close() }
