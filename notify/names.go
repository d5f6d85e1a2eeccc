package notify

import (
	"fmt"
	"strings"

	"github.com/s3mesh/s3mesh"
)

// ignored is the type of known events that change nothing a replica holds: no event and no error.
const ignored s3mesh.EventType = ""

// eventNames says what the events of S3 records mean, by name without "s3:", where the family alone does not tell.
var eventNames = map[string]s3mesh.EventType{
	// MinIO files changes beside the body under ObjectCreated, and a delete of a key that is not there under ObjectRemoved.
	"ObjectCreated:PutTagging":    s3mesh.EventChanged,
	"ObjectCreated:DeleteTagging": s3mesh.EventChanged,
	"ObjectCreated:PutRetention":  s3mesh.EventChanged,
	"ObjectCreated:PutLegalHold":  s3mesh.EventChanged,
	"ObjectRemoved:NoOP":          ignored,

	"ObjectRestore:Post":      ignored,             // asked for: nothing is readable yet
	"ObjectRestore:Completed": s3mesh.EventCreated, // the object can be read, perhaps for the first time since its write
	"ObjectRestore:Delete":    ignored,             // the restored copy expired, the archived object stays

	// Amazon lost the object's only copy: the site holds it no more.
	"ReducedRedundancyLostObject": s3mesh.EventRemoved,

	"LifecycleTransition": ignored,
	"IntelligentTiering":  ignored,

	// How the store's own replication to elsewhere went (Amazon, MinIO).
	"Replication:OperationFailedReplication":        ignored,
	"Replication:OperationCompletedReplication":     ignored,
	"Replication:OperationMissedThreshold":          ignored,
	"Replication:OperationReplicatedAfterThreshold": ignored,
	"Replication:OperationNotTracked":               ignored,
	// The same family at Ceph, once called ObjectSynced: what multisite replication changed here.
	"Replication:Create":                 s3mesh.EventCreated,
	"Replication:Delete":                 s3mesh.EventRemoved,
	"Replication:DeletionMarkerCreated":  s3mesh.EventRemoved,
	"ObjectSynced:Create":                s3mesh.EventCreated,
	"ObjectSynced:Delete":                s3mesh.EventRemoved,
	"ObjectSynced:DeletionMarkerCreated": s3mesh.EventRemoved,

	// Ceph's lifecycle; the manual and the source spell some names differently. Only what is current is replicated.
	"ObjectLifecycle:Expiration:Current":              s3mesh.EventRemoved,
	"ObjectLifecycle:Expiration:DeleteMarker":         s3mesh.EventRemoved,
	"ObjectLifecycle:Expiration:Noncurrent":           ignored,
	"ObjectLifecycle:Expiration:NonCurrent":           ignored,
	"ObjectLifecycle:Expiration:AbortMPU":             ignored,
	"ObjectLifecycle:Expiration:AbortMultipartUpload": ignored,
	"ObjectLifecycle:Transition:Current":              ignored,
	"ObjectLifecycle:Transition:Noncurrent":           ignored,
	"ObjectLifecycle:Transition:NonCurrent":           ignored,
}

// eventFamilies says what any other event means by the part of its name before the first colon, so that names added to a
// family later are understood.
var eventFamilies = map[string]s3mesh.EventType{
	"ObjectCreated":                s3mesh.EventCreated,
	"ObjectRemoved":                s3mesh.EventRemoved,
	"LifecycleExpiration":          s3mesh.EventRemoved,
	"LifecycleDelMarkerExpiration": s3mesh.EventRemoved, // MinIO
	"ObjectTagging":                s3mesh.EventChanged,
	"ObjectAcl":                    s3mesh.EventChanged,
	"ObjectAnnotation":             s3mesh.EventChanged,
	// MinIO: reads, transitions, the scanner's findings, and buckets, none of which names a changed key.
	"ObjectAccessed":   ignored,
	"ObjectTransition": ignored,
	"Scanner":          ignored,
	"BucketCreated":    ignored,
	"BucketRemoved":    ignored,
}

// classify says what the event called name, without "s3:", means.
func classify(name string) (s3mesh.EventType, error) {
	if name == "" {
		return ignored, errMissing
	}
	if kind, ok := eventNames[name]; ok {
		return kind, nil
	}
	family, _, ok := strings.Cut(name, ":")
	if kind, known := eventFamilies[family]; ok && known {
		return kind, nil
	}
	return ignored, fmt.Errorf("%.80q is not known: take it out of the bucket's notification configuration", name)
}
