package doctor

import "maps"

const (
	waits = "its links wait, use up no attempts, and catch up when it is back"
	looks = "every such write is preceded and followed by a look, and a client's write that was covered is put back on top"
	// refuses is how every failure of credentials begins.
	refuses = "the store refuses every request: "
)

type answers = map[string]meaning

// meanings is the knowledge: what an answer to a check means, what s3mesh does about it, and how to mend it. See [judge] for
// what is not in it.
func meanings() map[string]answers {
	all := contactMeanings()
	maps.Copy(all, storeMeanings())
	return all
}

func away(remedy func(facts) string) meaning {
	return meaning{severity: Away, consequence: waits, remedy: remedy}
}

func fault(consequence string, remedy func(facts) string) meaning {
	return meaning{severity: Fault, consequence: consequence, remedy: remedy}
}

func warning(consequence string, remedy func(facts) string) meaning {
	return meaning{severity: Warning, consequence: consequence, remedy: remedy}
}

func gap(consequence string) meaning { return meaning{severity: Gap, consequence: consequence} }

// contactMeanings are about the way to the site.
func contactMeanings() map[string]answers {
	const wins = "an overwritten version can win over the later one"
	return map[string]answers{
		checkReach: {
			"DNS":         away(checkName),
			"authority":   away(nameAuthority),
			"certificate": away(renewCertificate),
			"host name":   away(matchName),
			"TLS":         away(checkScheme),
			"not S3":      fault("something answers there that is no S3 server", checkScheme),
			"stopped":     {severity: Away, consequence: "the examination was stopped"},
		},
		checkTLS: {
			"plain":     warning("objects and their metadata cross the network in the clear", encrypt),
			"ends soon": warning("when the certificate ends, the site is away", renewCertificate),
		},
		checkCredentials: {
			"signature":   fault(refuses+"the secret key is not the right one", correctKeys),
			"unknown key": fault(refuses+"it does not know the access key", correctKeys),
			"expired":     fault(refuses+"the credentials have expired", renewKeys),
			"token":       fault(refuses+"the session token is not a valid one", renewKeys),
			"clock":       fault(refuses+"this machine's clock is wrong, or the store's", setClocks),
			"none":        fault("no credentials were found for this site", correctKeys),
		},
		checkRegion:   {"wrong": fault("the store refuses requests that are signed for another region", correctRegion)},
		checkBucket:   {"none": fault("there is no such bucket", createBucket)},
		checkClock:    {"far": fault("stores refuse requests whose time is 15 minutes off", setClocks)},
		checkClocks:   {"apart": warning(wins, setClocks), "far": fault(wins, setClocks)},
		checkReadOnly: {no: warning("more than needed: s3mesh only reads from this site, and its credentials can write there", grant)},
		checkNotifications: {
			"lost":   fault("writes at this site are not noticed until the next reconcile", wireUp),
			unknown:  warning("it could not be asked whether the notification came", tryAgain),
			"polled": {severity: Good},
		},
		checkClean: {"left": warning("scratch objects stay under .s3mesh/probe/, where nothing reads them", removeScratch)},
	}
}

// storeMeanings are about what the store can do.
func storeMeanings() map[string]answers {
	unhonoured := meaning{severity: Gap, consequence: looks, remedy: switchOnVersioning, worse: unguarded}
	uncertainDelete := gap("s3mesh looks at what its delete marker covered, and removes the marker again when that is later than " +
		"the delete")
	uncertainDelete.worse = withoutMarkers
	conditional := answers{"ignored": unhonoured, "racy": unhonoured}
	checksum := gap("verify compares the bytes where the ETag does not tell")
	return map[string]answers{
		checkVersioning: {
			no: {severity: Gap, consequence: "the loser of a conflict is gone, and order within max_clock_skew is by site name",
				remedy: switchOnVersioning, worse: unversioned},
			unknown: {severity: Gap, consequence: "whether the bucket keeps versions is not told", worse: unversioned},
		},
		checkPutNone:       conditional,
		checkPutMatch:      conditional,
		checkCompleteNone:  conditional,
		checkCompleteMatch: conditional,
		checkDelete:        {"ignored": uncertainDelete, "racy": uncertainDelete},
		checkTags:          {no: gap("objects keep no tags here, and verify does not compare them")},
		"CRC32C":           {no: checksum, "unchecked": checksum},
		"CRC64NVME":        {no: checksum, "unchecked": checksum},
		"SHA256":           {no: checksum, "unchecked": checksum},
		checkRange: {no: warning("large objects cannot be copied from here: they become dead letters (unsupported)",
			raiseLargeObject)},
		checkParts: {no: gap("the parts of a large replica are of another size, and so its ETag is another one: reconcile looks " +
			"closer once")},
		checkOrder: {no: gap("reconcile sorts the site's listing on disk before it compares")},
	}
}

// unguarded tells of a store where a client's write could be lost for good: s3mesh refuses to run there.
func unguarded(known facts) (Severity, string, bool) {
	return Fault, "s3mesh refuses to write here: without conditions and without versions a client's write could be overwritten " +
		"for good", known.probed && !known.can.Versioned
}

// unversioned tells of a bucket without versions that s3mesh refuses.
func unversioned(known facts) (Severity, string, bool) {
	return Fault, "s3mesh refuses to start: deletes: propagate needs versions on every bucket", known.cfg.PropagateDeletes
}

// withoutMarkers tells of a bucket without versions, to which no deletes are propagated.
func withoutMarkers(known facts) (Severity, string, bool) {
	return Gap, "nothing: no deletes are propagated to a bucket without versions", !known.can.Versioned
}
