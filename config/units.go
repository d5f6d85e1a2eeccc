package config

import (
	"errors"
	"math"
	"regexp"
	"strconv"
	"time"
)

// ByteSize is a number of bytes. In the file and in JSON it is a whole number, in bytes or with one of the units
// B, KB, MB, GB, TB (powers of 1000) and KiB, MiB, GiB, TiB (powers of 1024).
type ByteSize int64

var (
	byteSize = regexp.MustCompile(`^([0-9]+)([KMGT]i?B|B)?$`)
	errSize  = errors.New("not a size")
)

var byteUnits = []struct {
	name string
	size int64
}{
	{"TiB", 1 << 40}, {"TB", 1e12}, {"GiB", 1 << 30}, {"GB", 1e9}, {"MiB", 1 << 20}, {"MB", 1e6}, {"KiB", 1 << 10},
	{"KB", 1e3}, {"B", 1}, {"", 1},
}

// ParseByteSize reads the form described at [ByteSize].
func ParseByteSize(text string) (ByteSize, error) {
	match := byteSize.FindStringSubmatch(text)
	if match == nil {
		return 0, errSize
	}
	n, err := strconv.ParseInt(match[1], 10, 64)
	if err != nil {
		return 0, errSize
	}
	for _, unit := range byteUnits {
		if unit.name == match[2] && n <= math.MaxInt64/unit.size {
			return ByteSize(n * unit.size), nil
		}
	}
	return 0, errSize
}

// String returns the size in the largest unit that gives a whole number.
func (b ByteSize) String() string {
	for _, unit := range byteUnits {
		if b != 0 && int64(b)%unit.size == 0 {
			return strconv.FormatInt(int64(b)/unit.size, 10) + unit.name
		}
	}
	return strconv.FormatInt(int64(b), 10) + "B"
}

// MarshalText returns what String does.
func (b ByteSize) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// Duration is a time.Duration that is written as "2s", "500ms" or "1h30m" in the file and in JSON.
type Duration time.Duration

// String returns the duration as time.Duration prints it.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText returns what String does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }
