package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/s3mesh/s3mesh"
)

// certificateDays is how long before its end a certificate is warned of.
const certificateDays = 30

// farClock is the skew from which Amazon S3 and others refuse requests.
const farClock = 15 * time.Minute

// coded is an error that a store gave.
type coded interface {
	error
	ErrorCode() string
	BucketRegion() string
}

// contact says hello, and reports whether it makes sense to go on.
func (e *examination) contact(ctx context.Context) bool {
	err := e.site.Store.Hello(ctx)
	if answer := unreached(err); answer != "" {
		e.find(checkReach, answer, err)
		return false
	}
	e.find(checkReach, yes, nil)
	e.connection()
	credentials, region, bucket := refusal(err)
	e.find(checkCredentials, credentials, errIf(credentials != yes, err))
	if credentials != yes {
		return false
	}
	e.find(checkRegion, region, errIf(region != yes, err))
	if region != yes {
		return false
	}
	e.find(checkBucket, bucket, errIf(bucket != yes, err))
	return bucket == yes
}

func errIf(wanted bool, err error) error {
	if wanted {
		return err
	}
	return nil
}

// unreached tells why a site could not be reached, or "" where it answered.
func unreached(err error) string {
	var response coded
	var dns *net.DNSError
	var operation *net.OpError
	answered := errors.As(err, &response)
	kind := s3mesh.KindOf(err)
	switch {
	case err == nil:
		return ""
	case answered && response.ErrorCode() == "" && kind == s3mesh.KindInvalid:
		return "not S3"
	case answered && response.ErrorCode() != "" && kind != s3mesh.KindUnreachable:
		return ""
	case errors.As(err, &dns):
		return "DNS"
	case kind == s3mesh.KindCanceled:
		return "stopped"
	case kind != s3mesh.KindUnreachable:
		return ""
	}
	if answer := unencrypted(err); answer != "" {
		return answer
	}
	if errors.As(err, &operation) && operation.Op == "dial" {
		return "TCP"
	}
	return "no answer"
}

// unencrypted tells why no encrypted connection came to be, or "" where that is not the matter.
func unencrypted(err error) string {
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var verification *tls.CertificateVerificationError
	switch {
	case errors.As(err, &authority):
		return "authority"
	case errors.As(err, &host):
		return "host name"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "certificate"
	case errors.As(err, &invalid), errors.As(err, &record), errors.As(err, &alert), errors.As(err, &verification),
		errors.Is(err, http.ErrSchemeMismatch):
		return "TLS"
	}
	return ""
}

// refusal tells who refuses: the credentials, the region or the bucket. A store that denies access has accepted the signature;
// what is denied shows with the permissions.
func refusal(err error) (credentials, region, bucket string) {
	var response coded
	code, elsewhere := "", ""
	if errors.As(err, &response) {
		code, elsewhere = response.ErrorCode(), response.BucketRegion()
	}
	switch code {
	case "SignatureDoesNotMatch":
		return "signature", skip, skip
	case "InvalidAccessKeyId", "InvalidTokenId", "InvalidClientTokenId":
		return "unknown key", skip, skip
	case "ExpiredToken", "TokenRefreshRequired":
		return "expired", skip, skip
	case "InvalidToken":
		return "token", skip, skip
	case "RequestTimeTooSkewed":
		return "clock", skip, skip
	case "AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect", "IllegalLocationConstraintException":
		return yes, "wrong", skip
	}
	switch kind := s3mesh.KindOf(err); {
	case err != nil && kind == s3mesh.KindNoSuchBucket:
		return yes, yes, "none"
	case elsewhere != "":
		return yes, "wrong", skip
	case err != nil && kind == s3mesh.KindAccessDenied && code == "" && response == nil:
		return "none", skip, skip // it never came to a request
	}
	return yes, yes, yes
}

// connection tells of the encryption.
func (e *examination) connection() {
	state := e.site.Observer.TLS()
	if state == nil {
		e.find(checkTLS, plainAnswer(e.site.Endpoint), nil)
		return
	}
	version := strings.TrimPrefix(tls.VersionName(state.Version), "TLS ")
	if len(state.PeerCertificates) == 0 {
		e.show(checkTLS, yes, version, nil)
		return
	}
	left := time.Until(state.PeerCertificates[0].NotAfter)
	days := int(left / (24 * time.Hour))
	answer := yes
	if days < certificateDays {
		answer = "ends soon"
	}
	end := state.PeerCertificates[0].NotAfter.UTC().Format(time.DateOnly)
	e.show(checkTLS, answer, fmt.Sprintf("%s, %dd", version, days),
		errIf(answer != yes, fmt.Errorf("the certificate ends on %s", end)))
}

// plainAnswer tells an unencrypted connection within this machine from one over a network.
func plainAnswer(endpoint string) string {
	if isLoopback(endpoint) {
		return "local"
	}
	return "plain"
}

// clock tells how far the site's clock is from this machine's.
func (e *examination) clock() {
	ahead, within, known := e.site.Observer.Skew()
	if !known {
		return
	}
	answer := yes
	if ahead.Abs()-within > farClock {
		answer = "far"
	}
	if ahead.Abs() <= within {
		ahead = 0 // as far as can be told
	}
	e.show(checkClock, answer, signed(ahead), errIf(answer != yes,
		fmt.Errorf("the store's clock is %s from this machine's", signed(ahead))))
}

func signed(d time.Duration) string {
	text := d.Round(100 * time.Millisecond).String()
	if d < time.Minute && d > -time.Minute {
		text = fmt.Sprintf("%.1fs", d.Seconds())
	}
	if d >= 0 {
		text = "+" + text
	}
	return text
}

// between compares the clocks of the sites.
func between(cfg Config) []Result {
	var first, last *Site
	var least, most, within time.Duration
	for i := range cfg.Sites {
		site := &cfg.Sites[i]
		ahead, off, known := site.Observer.Skew()
		if !known {
			continue
		}
		if first == nil || ahead < least {
			first, least = site, ahead
		}
		if last == nil || ahead > most {
			last, most = site, ahead
		}
		within = max(within, off)
	}
	if first == nil || first == last {
		return nil
	}
	apart, answer := most-least, yes
	switch {
	case apart-2*within > farClock:
		answer = "far"
	case apart-2*within > cfg.MaxClockSkew:
		answer = "apart"
	}
	detail := fmt.Sprintf("%s is %s ahead of %s, within %s; max_clock_skew is %s", last.Name,
		apart.Round(100*time.Millisecond), first.Name, (2 * within).Round(100*time.Millisecond), cfg.MaxClockSkew)
	return []Result{judge(facts{cfg: cfg}, Result{Check: checkClocks, Answer: answer, Detail: detail})}
}
