package doctor_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/s3mesh/s3mesh/doctor"
	"github.com/s3mesh/s3mesh/internal/peer"
)

// examine examines sites without waiting for notifications.
func examine(t *testing.T, sites ...doctor.Site) doctor.Report {
	t.Helper()
	return doctor.Examine(t.Context(), doctor.Config{Set: "photos", MaxClockSkew: 2 * time.Second, Sites: sites})
}

// want fails t unless a check of a site had an answer of a severity. It returns the result.
func want(t *testing.T, site doctor.SiteReport, check, answer string, severity doctor.Severity) doctor.Result {
	t.Helper()
	result, asked := site.Result(check)
	if !asked || result.Answer != answer || result.Severity != severity {
		t.Errorf("%s: %+v, want %s, which is a %s", check, result, answer, severity)
	}
	return result
}

func TestAway(t *testing.T) {
	address, err := peer.FreeAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for url, answer := range map[string]string{"http://" + address: "TCP", "http://no-such-host.invalid:9000": "DNS"} {
		report := examine(t, site(t, peer.Endpoint{URL: url, Region: "us-east-1", AccessKey: "k", SecretKey: "s"}, "photos"))
		result := want(t, report.Sites[0], "reachable", answer, doctor.Away)
		if result.Remedy == "" || result.Detail == "" || report.Worst() != doctor.Away {
			t.Errorf("%s: %+v", url, result)
		}
	}
}

// TestRefusals has a store say no to every request, each time for another reason.
func TestRefusals(t *testing.T) {
	for code, c := range map[string]struct {
		status        int
		check, answer string
	}{
		"SignatureDoesNotMatch":        {403, "credentials", "signature"},
		"InvalidAccessKeyId":           {403, "credentials", "unknown key"},
		"ExpiredToken":                 {400, "credentials", "expired"},
		"InvalidToken":                 {400, "credentials", "token"},
		"RequestTimeTooSkewed":         {403, "credentials", "clock"},
		"PermanentRedirect":            {301, "region", "wrong"},
		"AuthorizationHeaderMalformed": {400, "region", "wrong"},
		"NoSuchBucket":                 {404, "bucket", "none"},
		"":                             {400, "reachable", "not S3"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			if code != "" {
				fmt.Fprintf(w, "<Error><Code>%s</Code></Error>", code)
			}
		}))
		report := examine(t, site(t, peer.Endpoint{URL: server.URL, AccessKey: "k", SecretKey: "s"}, "photos"))
		server.Close()
		if result := want(t, report.Sites[0], c.check, c.answer, doctor.Fault); result.Remedy == "" {
			t.Errorf("%s: no remedy", code)
		}
		if report.Worst() != doctor.Fault {
			t.Errorf("%s: the worst is %s", code, report.Worst())
		}
	}
}

func TestMinIORefuses(t *testing.T) {
	endpoint := peer.MinIO(t, "MINIO_SITE_REGION=us-east-1")
	bucket := endpoint.CreateBucket(t)
	wrongSecret, wrongKey, wrongRegion := endpoint, endpoint, endpoint
	wrongSecret.SecretKey, wrongKey.AccessKey, wrongRegion.Region = "wrong-secret", "nobody", "eu-west-9"
	for _, c := range []struct {
		endpoint              peer.Endpoint
		bucket, check, answer string
	}{
		{wrongSecret, bucket, "credentials", "signature"},
		{wrongKey, bucket, "credentials", "unknown key"},
		{wrongRegion, bucket, "region", "wrong"},
		{endpoint, "no-such-bucket", "bucket", "none"},
	} {
		want(t, examine(t, site(t, c.endpoint, c.bucket)).Sites[0], c.check, c.answer, doctor.Fault)
	}
}

// TestTLS gives stores certificates that are good, end soon, have ended, are for another name or of an unknown authority.
func TestTLS(t *testing.T) {
	for name, c := range map[string]struct {
		host          string
		left          time.Duration
		trusted       bool
		check, answer string
		severity      doctor.Severity
	}{
		"good":         {"127.0.0.1", 60 * 24 * time.Hour, true, "tls", "yes", doctor.Good},
		"ends soon":    {"127.0.0.1", 20 * 24 * time.Hour, true, "tls", "ends soon", doctor.Warning},
		"ended":        {"127.0.0.1", -time.Hour, true, "reachable", "certificate", doctor.Away},
		"another host": {"store.example.org", 60 * 24 * time.Hour, true, "reachable", "host name", doctor.Away},
		"unknown":      {"127.0.0.1", 60 * 24 * time.Hour, false, "reachable", "authority", doctor.Away},
	} {
		certificate, pool := issue(t, c.host, c.left)
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, "<Error><Code>NoSuchBucket</Code></Error>")
		}))
		server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
		server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		server.StartTLS()
		examined := site(t, peer.Endpoint{URL: server.URL, AccessKey: "k", SecretKey: "s"}, "photos")
		if !c.trusted {
			pool = x509.NewCertPool()
		}
		trusting(t, examined).TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
		result := want(t, examine(t, examined).Sites[0], c.check, c.answer, c.severity)
		if c.answer == "authority" && !strings.Contains(result.Remedy, "ca_file") {
			t.Errorf("%s: remedy %q", name, result.Remedy)
		}
		examined.Observer.CloseIdleConnections()
		server.Close()
	}
}

// TestSchemes takes http for https, and the other way round.
func TestSchemes(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	url := strings.Replace(plain.URL, "http://", "https://", 1)
	want(t, examine(t, site(t, peer.Endpoint{URL: url, AccessKey: "k", SecretKey: "s"}, "photos")).Sites[0], "reachable", "TLS",
		doctor.Away)
	encrypted := httptest.NewUnstartedServer(http.NotFoundHandler())
	encrypted.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	encrypted.StartTLS()
	defer encrypted.Close()
	url = strings.Replace(encrypted.URL, "https://", "http://", 1)
	want(t, examine(t, site(t, peer.Endpoint{URL: url, AccessKey: "k", SecretKey: "s"}, "photos")).Sites[0], "reachable", "not S3",
		doctor.Fault)
}

func trusting(t *testing.T, s doctor.Site) *http.Transport {
	t.Helper()
	transport, ok := s.Observer.Transport.(*http.Transport)
	if !ok {
		t.Fatalf("%T is no transport", s.Observer.Transport)
	}
	return transport
}

// issue makes a certificate for host that is valid for as long as left, and the pool that trusts it.
func issue(t *testing.T, host string, left time.Duration) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, IsCA: true,
		BasicConstraintsValid: true, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(left)}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// dated answers as a store whose clock is ahead.
type dated struct {
	http.RoundTripper
	ahead time.Duration
}

func (d dated) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := d.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Header.Set("Date", time.Now().Add(d.ahead).UTC().Format(http.TimeFormat))
	}
	return resp, err
}

func TestClocks(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, "<Error><Code>NoSuchBucket</Code></Error>")
	}))
	defer server.Close()
	for _, c := range []struct {
		ahead        time.Duration
		own, between string
		ownIs, is    doctor.Severity
	}{
		{0, "yes", "yes", doctor.Good, doctor.Good},
		{10 * time.Second, "yes", "apart", doctor.Good, doctor.Warning},
		{-10 * time.Second, "yes", "apart", doctor.Good, doctor.Warning},
		{20 * time.Minute, "far", "far", doctor.Fault, doctor.Fault},
	} {
		a := site(t, peer.Endpoint{URL: server.URL, AccessKey: "k", SecretKey: "s"}, "photos")
		b := site(t, peer.Endpoint{URL: server.URL, AccessKey: "k", SecretKey: "s"}, "photos")
		b.Name, b.Observer.Transport = "ahead", dated{b.Observer.Transport, c.ahead}
		// Contact alone does not ask for the clock of a bucket that is not there; two more answers make it sure.
		report := examine(t, a, b)
		want(t, report.Sites[1], "clock", c.own, c.ownIs)
		if len(report.Between) != 1 || report.Between[0].Answer != c.between || report.Between[0].Severity != c.is {
			t.Errorf("%v ahead: between the sites: %+v, want %s", c.ahead, report.Between, c.between)
		}
	}
}

// denying answers AccessDenied to the requests that it chooses.
type denying struct {
	http.RoundTripper
	denies func(*http.Request) bool
}

func (d denying) RoundTrip(r *http.Request) (*http.Response, error) {
	if !d.denies(r) {
		return d.RoundTripper.RoundTrip(r)
	}
	body := "<Error><Code>AccessDenied</Code></Error>"
	return &http.Response{StatusCode: http.StatusForbidden, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Request: r,
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}, nil
}

// TestRemote examines a site that s3mesh must not write to: once it can, and once it cannot.
func TestRemote(t *testing.T) {
	endpoint := peer.MinIO(t)
	bucket := endpoint.CreateBucket(t)
	open := site(t, endpoint, bucket)
	open.Served = false
	result := want(t, examine(t, open).Sites[0], "read_only", "no", doctor.Warning)
	if strings.Contains(result.Remedy, "s3:PutObject") || !strings.Contains(result.Remedy, `"s3:GetObject"`) ||
		!strings.Contains(result.Remedy, "arn:aws:s3:::"+bucket) {
		t.Errorf("the policy to use is %s", result.Remedy)
	}
	closed := site(t, endpoint, bucket)
	closed.Served = false
	closed.Observer.Transport = denying{closed.Observer.Transport, func(r *http.Request) bool {
		return r.Method != http.MethodGet && r.Method != http.MethodHead
	}}
	report := examine(t, closed)
	want(t, report.Sites[0], "read_only", "yes", doctor.Good)
	want(t, report.Sites[0], "s3:PutObject", "not needed", doctor.Skipped)
	want(t, report.Sites[0], "s3:GetObject", "yes", doctor.Good)
	if report.Worst() != doctor.Good {
		t.Errorf("the worst is %s: %+v", report.Worst(), report.Sites[0].Results)
	}
	wantOnly(t, endpoint, bucket, "")
}

// TestDenied takes permissions away.
func TestDenied(t *testing.T) {
	endpoint := peer.MinIO(t)
	bucket := endpoint.CreateBucket(t)
	for name, c := range map[string]struct {
		denies    func(*http.Request) bool
		propagate bool
		action    string
		severity  doctor.Severity
	}{
		"write":            {func(r *http.Request) bool { return r.Method == http.MethodPut }, false, "s3:PutObject", doctor.Fault},
		"tags":             {has("tagging"), false, "s3:GetObjectTagging", doctor.Gap},
		"versions":         {has("versions"), false, "s3:ListBucketVersions", doctor.Fault},
		"delete":           {plainDelete, false, "s3:DeleteObject", doctor.Warning},
		"delete, needed":   {plainDelete, true, "s3:DeleteObject", doctor.Fault},
		"versioning":       {has("versioning"), false, "s3:GetBucketVersioning", doctor.Fault},
		"list of the keys": {has("list-type"), false, "s3:ListBucket", doctor.Fault},
	} {
		examined := site(t, endpoint, bucket)
		examined.Observer.Transport = denying{examined.Observer.Transport, c.denies}
		report := doctor.Examine(t.Context(), doctor.Config{
			Set: "photos", Sites: []doctor.Site{examined}, PropagateDeletes: c.propagate})
		result := want(t, report.Sites[0], c.action, "denied", c.severity)
		if !strings.Contains(result.Remedy, c.action) {
			t.Errorf("%s: the policy lacks it: %s", name, result.Remedy)
		}
	}
}

func has(parameter string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.URL.Query().Has(parameter) }
}

func plainDelete(r *http.Request) bool { return r.Method == http.MethodDelete && r.URL.RawQuery == "" }

// TestStopped ends the examination in its midst: nothing stays.
func TestStopped(t *testing.T) {
	endpoint := peer.MinIO(t)
	bucket := endpoint.CreateBucket(t)
	for _, after := range []int{5, 25, 60, 200} {
		ctx, cancel := context.WithCancel(t.Context())
		examined := site(t, endpoint, bucket)
		examined.Observer.Transport = &fuse{RoundTripper: examined.Observer.Transport, left: after, blow: cancel}
		doctor.Examine(ctx, doctor.Config{Set: "photos", Sites: []doctor.Site{examined}})
		cancel()
		wantOnly(t, endpoint, bucket, "")
	}
}
