package s3store

import (
	"net/http"
	"strings"

	"github.com/s3mesh/s3mesh"
)

const checksumMode = "X-Amz-Checksum-Mode"

// checksumsFrom returns the checksums that the headers of an answer tell. One of the checksums of parts bears their number;
// on Amazon S3 its type says so, too, but older releases of other products do not give the type.
func checksumsFrom(h http.Header) []s3mesh.Checksum {
	var sums []s3mesh.Checksum
	for _, algorithm := range [...]string{"CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"} {
		if value := h.Get("X-Amz-Checksum-" + algorithm); value != "" {
			sums = append(sums, s3mesh.Checksum{
				Algorithm: algorithm, Value: value,
				Composite: strings.Contains(value, "-") || h.Get("X-Amz-Checksum-Type") == "COMPOSITE",
			})
		}
	}
	return sums
}
