package natsqueue

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
)

// A segment is a file of fixed size, filled with zeros when it is made, so that a later sync of what is written into it
// changes no metadata:
//
//	header  magic (8 bytes), sequence (8), CRC-32C of these (4), reserved (12)
//	record  magic (4), length of the body (4), CRC-32C of the segment's sequence and the body (4), body
//	body    kind (1), length of the subject (2), subject, data
//
// All numbers are little endian. Files are used again: the sequence in a checksum tells a record from an older one.
const (
	segmentSize   = 8 << 20
	segmentHeader = 32
	recordHeader  = 12
	bodyHeader    = 3
	segmentMagic  = "s3mjrnl1"
	recordMagic   = "s3m\xA7"
)

// recordKind says what a record does. The values are stored.
type recordKind byte

const (
	recordPut    recordKind = 1 // data is the last message of the subject
	recordRemove recordKind = 2 // the message of the subject is gone, if it is this one
	recordEnd    recordKind = 3 // the segment ends here; what it holds is complete
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// record is what is read back. Its data is only valid until the next one is read.
type record struct {
	kind    recordKind
	subject string
	data    []byte
}

// disk is what the journal needs of a segment's file.
type disk interface {
	WriteAt(p []byte, off int64) (int, error)
	Sync() error // of the data; the file's size never changes
	Close() error
}

// segment is a file of the journal that this process writes.
type segment struct {
	path     string
	file     disk
	sequence uint64
	size     int64
	held     int // records whose publish is under way; guarded by the journal's mu
}

// appendRecord adds a record to buf, but for its checksum.
func appendRecord(buf []byte, kind recordKind, subject string, data []byte) []byte {
	buf = append(buf, recordMagic...)
	buf = binary.LittleEndian.AppendUint32(buf, uint32(bodyHeader+len(subject)+len(data)))
	buf = append(buf, 0, 0, 0, 0, byte(kind))
	buf = binary.LittleEndian.AppendUint16(buf, uint16(len(subject)))
	buf = append(buf, subject...)
	return append(buf, data...)
}

// stamp fills in the checksums of whole records, for the segment with this sequence.
func stamp(records []byte, sequence uint64) {
	for len(records) > 0 {
		end := recordHeader + int(binary.LittleEndian.Uint32(records[4:]))
		binary.LittleEndian.PutUint32(records[8:], checksum(sequence, records[recordHeader:end]))
		records = records[end:]
	}
}

func checksum(sequence uint64, body []byte) uint32 {
	seed := crc32.Checksum(binary.LittleEndian.AppendUint64(nil, sequence), castagnoli)
	return crc32.Update(seed, castagnoli, body)
}

func encodeHeader(sequence uint64) []byte {
	h := binary.LittleEndian.AppendUint64([]byte(segmentMagic), sequence)
	h = binary.LittleEndian.AppendUint32(h, crc32.Checksum(h, castagnoli))
	return append(h, make([]byte, segmentHeader-len(h))...)
}

var errHeader = errors.New("the header does not match its checksum")

// decodeHeader returns the segment's sequence, or 0 for a file that is not in use.
func decodeHeader(data []byte) (uint64, error) {
	if len(data) < segmentHeader || bytes.Count(data[:segmentHeader], []byte{0}) == segmentHeader {
		return 0, nil
	}
	sequence := binary.LittleEndian.Uint64(data[8:])
	if !bytes.Equal(data[:segmentHeader], encodeHeader(sequence)) {
		return 0, errHeader
	}
	return sequence, nil
}

// gap is a stretch of a segment that cannot be read, before records that can be.
type gap struct{ offset, length int }

// scanRecords calls apply with every record in data, a whole segment, that can be read. It returns the stretches that
// cannot, and whether the segment was written to its end. What was being written when the power failed is no gap, but
// the end, unless a later part of it reached the disk first.
func scanRecords(data []byte, sequence uint64, apply func(record) error) (gaps []gap, ended bool, err error) {
	at := segmentHeader
	for {
		r, next, ok := readRecord(data, at, sequence)
		if !ok {
			from := at
			if r, at, next = findRecord(data, at+1, sequence); at < 0 {
				return gaps, false, nil
			}
			gaps = append(gaps, gap{from, at - from})
		}
		if r.kind == recordEnd {
			return gaps, true, nil
		}
		if err := apply(r); err != nil {
			return gaps, false, err
		}
		at = next
	}
}

// findRecord returns the first record from at on, its place and that of the next one; -1 when there is none.
func findRecord(data []byte, at int, sequence uint64) (r record, place, next int) {
	for at < len(data) {
		i := bytes.Index(data[at:], []byte(recordMagic))
		if i < 0 {
			break
		}
		at += i
		if r, next, ok := readRecord(data, at, sequence); ok {
			return r, at, next
		}
		at++
	}
	return record{}, -1, -1
}

func readRecord(data []byte, at int, sequence uint64) (r record, next int, ok bool) {
	if len(data)-at < recordHeader+bodyHeader || string(data[at:at+4]) != recordMagic {
		return record{}, 0, false
	}
	length := binary.LittleEndian.Uint32(data[at+4:])
	if length < bodyHeader || uint64(length) > uint64(len(data)-at-recordHeader) {
		return record{}, 0, false
	}
	next = at + recordHeader + int(length)
	body := data[at+recordHeader : next]
	subject := int(binary.LittleEndian.Uint16(body[1:]))
	if checksum(sequence, body) != binary.LittleEndian.Uint32(data[at+8:]) || bodyHeader+subject > len(body) {
		return record{}, 0, false
	}
	r = record{recordKind(body[0]), string(body[bodyHeader : bodyHeader+subject]), body[bodyHeader+subject:]}
	return r, next, true
}

// dataFile is a file whose Sync leaves out what is not needed to read the data back.
type dataFile struct{ *os.File }

// Sync makes the file's data durable.
func (f dataFile) Sync() error { return syncData(f.File) }

// createSegment makes a file of zeros that survives a power loss. On failure, as on a full disk, nothing of it stays.
func createSegment(path string) (disk, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	zeros := make([]byte, 1<<20)
	for size := 0; size < segmentSize && err == nil; size += len(zeros) {
		_, err = file.Write(zeros)
	}
	if err == nil {
		err = errors.Join(file.Sync(), syncPath(filepath.Dir(path)))
	}
	if err != nil {
		return nil, errors.Join(err, file.Close(), os.Remove(path))
	}
	return dataFile{file}, nil
}
